using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Cli.Output;

namespace Sluice.Cli;

/// <summary>What a running command needs: the gateway, and where it prints.</summary>
/// <param name="Gateway">The gateway.</param>
/// <param name="Parsed">The arguments.</param>
/// <param name="Out">Standard output.</param>
/// <param name="AsJson">Whether to print JSON for scripts.</param>
/// <param name="Time">The clock.</param>
internal sealed record CommandContext(
    GatewayClient Gateway, ParseResult Parsed, TextWriter Out, bool AsJson, TimeProvider Time)
{
    private static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Prints JSON for scripts, or a table for people.</summary>
    public async Task PrintAsync(JsonNode json, Func<Table> table, string empty)
    {
        if (AsJson) await PrintJsonAsync(json);
        else await Out.WriteAsync(table().Format(empty));
    }

    /// <summary>Prints JSON.</summary>
    public Task PrintJsonAsync(JsonNode json) => Out.WriteLineAsync(json.ToJsonString(Indented));
}
