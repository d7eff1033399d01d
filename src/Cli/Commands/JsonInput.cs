using System.Text.Json;
using System.Text.Json.Nodes;

namespace Sluice.Cli.Commands;

/// <summary>Reads JSON from an argument, or from standard input if it is <c>-</c>.</summary>
internal static class JsonInput
{
    public static async Task<JsonNode?> ReadAsync(string text, CancellationToken ct)
    {
        if (text == "-") text = await Console.In.ReadToEndAsync(ct);
        try
        {
            return JsonNode.Parse(text);
        }
        catch (JsonException e)
        {
            throw new CliException($"the input is not valid JSON: {e.Message}", ExitCodes.WrongUsage);
        }
    }
}
