using System.Text.Json.Nodes;

namespace Sluice.Worker.Tests.Generation.Chat;

/// <summary>
/// Makes conversations at random: system messages, text and parts, tools, calls and results, thinking, and text that is
/// difficult for a template.
/// </summary>
internal sealed class RandomConversations(int seed)
{
    private static readonly string[] Words =
    [
        "hello", "Größe", "東京", "مرحبا", "👍🏽", "e\u0301", "{{ x }}", "{% if %}", "<|im_end|>", "</think>", "<think>",
        "\"quoted\"", "back\\slash", "\t", "\n", "\n\n", "  ", "\u00a0", "\u2028", "'", "</s>", "[INST]", "<b>&amp;",
        "1.5",
        "\u0001", "\ufeff", "<tool_call>", "###", "ǅ", "ß", "\r\n", "null", "\u007f",
    ];

    private readonly Random random = new(seed);

    // Many templates accept only text in turns; half of the conversations have nothing else.
    private bool isPlain;

    /// <summary>Returns the variables of a template.</summary>
    public JsonObject Next()
    {
        isPlain = Chance(0.5);
        var messages = new JsonArray();
        if (Chance(0.5)) messages.Add(Message("system", Content()));
        var turns = random.Next(1, 4);
        for (var i = 0; i < turns; i++) AddTurn(messages, isLast: i == turns - 1);
        var data = new JsonObject
        {
            ["messages"] = messages,
            ["tools"] = !isPlain && Chance(0.5) ? Tools() : null,
            ["add_generation_prompt"] = Chance(0.5),
        };
        if (Chance(0.3)) data["enable_thinking"] = Chance(0.5);
        return data;
    }

    private void AddTurn(JsonArray messages, bool isLast)
    {
        messages.Add(Message("user", Content()));
        if (!isPlain && Chance(0.4)) AddToolCalls(messages);
        if (isLast && Chance(0.5)) return;
        var answer = Message("assistant", Chance(0.2) ? $"<think>\n{Text()}\n</think>\n\n{Text()}" : Content());
        if (Chance(0.2)) answer["reasoning_content"] = Text();
        messages.Add(answer);
    }

    private void AddToolCalls(JsonArray messages)
    {
        var count = random.Next(1, 3);
        var calls = new JsonArray();
        for (var i = 0; i < count; i++)
            calls.Add(new JsonObject
            {
                ["id"] = $"call{random.Next(100_000, 999_999):d6}abc"[..9],
                ["type"] = "function",
                ["function"] = new JsonObject
                {
                    ["name"] = $"tool_{i}",
                    ["arguments"] = Chance(0.5) ? Arguments() : Arguments().ToJsonString(),
                },
            });
        var message = Message("assistant", Chance(0.5) ? null : Text());
        if (Chance(0.2)) message.Remove("content");
        message["tool_calls"] = calls;
        messages.Add(message);
        foreach (var call in calls)
        {
            var result = Message("tool", Chance(0.8) ? Text() : Arguments().ToJsonString());
            if (Chance(0.8)) result["tool_call_id"] = (string?)call!["id"];
            if (Chance(0.5)) result["name"] = (string?)call!["function"]!["name"];
            messages.Add(result);
        }
    }

    private JsonArray Tools()
    {
        var tools = new JsonArray();
        for (var i = 0; i < random.Next(1, 3); i++)
            tools.Add(new JsonObject
            {
                ["type"] = "function",
                ["function"] = new JsonObject
                {
                    ["name"] = $"tool_{i}",
                    ["description"] = Text(),
                    ["parameters"] = new JsonObject
                    {
                        ["type"] = "object",
                        ["properties"] = new JsonObject
                        {
                            ["city"] = new JsonObject { ["type"] = "string", ["description"] = Text() },
                            ["days"] = new JsonObject { ["type"] = "integer", ["default"] = random.Next(10) },
                            ["unit"] = new JsonObject { ["type"] = "string", ["enum"] = new JsonArray("°C", "°F") },
                        },
                        ["required"] = new JsonArray("city"),
                    },
                },
            });
        return tools;
    }

    private JsonObject Arguments() => new()
    {
        ["city"] = Text(),
        ["days"] = random.Next(-3, 1000),
        ["ratio"] = Math.Round(random.NextDouble() * 10, 3),
        ["deep"] = new JsonObject { ["list"] = new JsonArray(1, Text(), null, true), ["empty"] = new JsonObject() },
    };

    private static JsonObject Message(string role, JsonNode? content) =>
        new() { ["role"] = role, ["content"] = content };

    private JsonNode Content() => isPlain || Chance(0.7)
        ? Text()
        : new JsonArray([.. Enumerable.Range(0, random.Next(1, 3)).Select(_ =>
            (JsonNode)new JsonObject { ["type"] = "text", ["text"] = Text() })]);

    private string Text() =>
        string.Concat(Enumerable.Range(0, random.Next(8))
            .Select(_ => Words[random.Next(Words.Length)] + (Chance(0.6) ? " " : "")));

    private bool Chance(double probability) => random.NextDouble() < probability;
}
