using System.Text.Json.Nodes;

namespace Sluice.Cli.Commands;

/// <summary>Changes the scaling of an endpoint.</summary>
internal static class EndpointPatch
{
    /// <summary>Changes fields of <c>scaling</c>, and prints the result.</summary>
    public static async Task SendAsync(
        CommandContext context, string endpoint, JsonObject scaling, CancellationToken ct)
    {
        var answer = (await context.Gateway.SendAsync(HttpMethod.Patch,
            $"api/v1/endpoints/{Uri.EscapeDataString(endpoint)}", new JsonObject { ["scaling"] = scaling }, ct))!;
        if (context.AsJson) await context.PrintJsonAsync(answer);
        else
            await context.Out.WriteLineAsync($"{answer["id"]}: "
                + string.Join(", ", scaling.Select(s => $"{s.Key} {answer["scaling"]?[s.Key]}")));
    }
}
