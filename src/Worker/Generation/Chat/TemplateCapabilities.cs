using System.Text.Json;
using Sluice.Worker.Generation.Chat.Jinja;

namespace Sluice.Worker.Generation.Chat;

/// <summary>
/// Which forms of a message a template accepts. Templates differ, and nothing declares it, so each form is tried once:
/// it is accepted if the template writes its text.
/// </summary>
internal sealed record TemplateCapabilities
{
    private const string Needle = "SluiceProbe";

    /// <summary>Whether the content can be a string.</summary>
    public bool HasTextContent { get; private init; }

    /// <summary>Whether the content can be a list of parts.</summary>
    public bool HasContentParts { get; private init; }

    /// <summary>Whether the arguments of a tool call can be an object. Otherwise they are a string with JSON.</summary>
    public bool HasObjectArguments { get; private init; }

    /// <summary>Whether the content beside tool calls can be null. Otherwise it is an empty string.</summary>
    public bool HasNullContent { get; private init; }

    /// <summary>Tries the forms.</summary>
    /// <param name="render">Renders messages; throws <see cref="TemplateException"/>.</param>
    public static TemplateCapabilities Probe(Func<JsonElement, string> render)
    {
        var parts = Try(render, $$"""[{"role":"user","content":[{"type":"text","text":"{{Needle}}"}]}]""");
        return new TemplateCapabilities
        {
            HasTextContent = Contains(Try(render, $$"""[{"role":"user","content":"{{Needle}}"}]""")),
            // A template that writes the list as JSON does not know parts.
            HasContentParts = Contains(parts) && !parts!.Contains("\"text\"", StringComparison.Ordinal),
            HasObjectArguments =
                Contains(Try(render, ToolCall("\"\"", $$"""{"a":"{{Needle}}"}"""))) ||
                Contains(Try(render, ToolCall("null", $$"""{"a":"{{Needle}}"}"""))),
            HasNullContent = Try(render, ToolCall("null", "{}")) is not null ||
                Try(render, ToolCall("null", "\"{}\"")) is not null,
        };
    }

    private static string ToolCall(string content, string arguments) => $$$"""
        [{"role":"user","content":"x"},{"role":"assistant","content":{{{content}}},"tool_calls":[{"id":"call_0_abcd",
        "type":"function","function":{"name":"f","arguments":{{{arguments}}}}}]}]
        """;

    private static bool Contains(string? text) => text?.Contains(Needle, StringComparison.Ordinal) ?? false;

    private static string? Try(Func<JsonElement, string> render, string messages)
    {
        using var document = JsonDocument.Parse(messages);
        try
        {
            return render(document.RootElement);
        }
        catch (TemplateException)
        {
            return null;
        }
    }
}
