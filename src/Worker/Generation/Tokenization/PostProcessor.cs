using Sluice.Worker.Generation.Tokenization.Files;

namespace Sluice.Worker.Generation.Tokenization;

/// <summary>Reads which tokens a post-processor adds before and after one text.</summary>
internal static class PostProcessor
{
    private const string Supported =
        "Sequence, TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel";

    /// <summary>Reads the field <c>post_processor</c>.</summary>
    /// <exception cref="TokenizerFileException">It is not supported.</exception>
    public static (int[] Prefix, int[] Suffix) Read(JsonPart? part)
    {
        if (part is not { } given) return ([], []);
        switch (given.Type)
        {
            case "Sequence":
                int[] prefix = [], suffix = [];
                foreach (var step in given.List("processors"))
                {
                    var (before, after) = Read(step);
                    (prefix, suffix) = ([.. before, .. prefix], [.. suffix, .. after]);
                }

                return (prefix, suffix);
            case "BertProcessing" or "RobertaProcessing":
                return ([Pair(given, "cls")], [Pair(given, "sep")]);
            case "TemplateProcessing":
                return Template(given);
            case "ByteLevel":
                return ([], []);
            default:
                throw given.Unsupported(Supported);
        }
    }

    /// <summary>Returns the token of a field such as <c>["[CLS]", 101]</c>.</summary>
    private static int Pair(JsonPart part, string name) =>
        part.List(name).ToList() is [_, var id] ? id.AsNumber() : throw part.Get(name).Unexpected("a token and its id");

    private static (int[] Prefix, int[] Suffix) Template(JsonPart part)
    {
        List<int> prefix = [], suffix = [];
        var texts = 0;
        foreach (var item in part.List("single"))
            if (item.Find("Sequence") is not null) texts++;
            else
            {
                var ids = part.Get("special_tokens").Get(item.Get("SpecialToken").Text("id")).List("ids");
                (texts == 0 ? prefix : suffix).AddRange(ids.Select(id => id.AsNumber()));
            }

        return texts == 1
            ? ([.. prefix], [.. suffix])
            : throw new TokenizerFileException($"{part.Path}.single has the text {texts} times; supported: once");
    }
}
