using System.Globalization;
using System.Net;
using System.Text;
using Sluice.LoadGenerator;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Measures the time from zero workers to the first answer of <c>digits</c>: with workers as processes, without and
/// with a standby worker, and as containers. All gateways run at the same time and are called in turn, round by round,
/// each time with no worker left. <c>DOCKER_HOST</c> names the Docker daemon; without it there are no containers. The
/// floor is the time that the model's load, warm-up and run need in a process that is already running.
/// </summary>
public static class ColdStart
{
    internal const string Standby = "process, standby";

    private const string Key = "the-admin-key-of-this-load-test";

    /// <summary>Short, so that rounds do not take long; a worker is gone soon after.</summary>
    private const string Manifest = """
        templates:
          - { name: onnx }
        endpoints:
          - { id: digits, template: onnx, scaling: { max: 1, idleTimeout: 500ms } }

        """;

    private static readonly string Digit = GatewayProcess.Example("digits");

    public static async Task RunAsync(ScenarioOptions options, string image, CancellationToken ct)
    {
        if (options.Before is not null)
        {
            await ColdStartComparison.RunAsync(options, ct);
            return;
        }

        await using var processes = await StartAsync(new Dictionary<string, string?>());
        await using var standing = await StartAsync(new Dictionary<string, string?> { ["SLUICE_STANDBY_WORKERS"] = "1" });
        await using var docker = Environment.GetEnvironmentVariable("DOCKER_HOST") is not { Length: > 0 } daemon ? null
            : await StartAsync(new Dictionary<string, string?> { ["SLUICE_POD_HOST"] = "docker", ["SLUICE_DOCKER_IMAGE"] = image, ["SLUICE_DOCKER_HOST"] = daemon });
        List<(string Name, GatewayProcess Gateway, List<double> First, Dictionary<string, List<double>> Stages)> hosts =
            [("process", processes, [], []), (Standby, standing, [], [])];
        if (docker is not null) hosts.Add(("docker", docker, [], []));
        for (var round = 0; round <= options.Rounds; round++)
            foreach (var (name, gateway, first, stages) in hosts)
            {
                if (name == Standby) await StandbyAsync(gateway, ct);
                var (answered, reported) = await OnceAsync(gateway, ct);
                // The first one of each also warms the gateway and the page cache.
                if (round == 0) continue;
                first.Add(answered);
                reported = [.. reported, ("floor", reported.Where(t => t.Stage is "ort" or "model" or "warmup").Sum(t => t.Ms))];
                foreach (var (stage, ms) in reported)
                {
                    if (!stages.TryGetValue(stage, out var all)) stages[stage] = all = [];
                    all.Add(ms);
                }
            }

        var names = hosts.SelectMany(h => h.Stages.Keys).Distinct().ToList();
        var table = new StringBuilder($"# cold-start\n\n{Machine.Describe("make load-cold-start")}\n")
            .Append(CultureInfo.InvariantCulture, $"{options.Rounds} rounds, alternating; ms, median (least-most). ")
            .Append("The request is sent with no worker; the image and the page cache are warm.\n\n")
            .Append("| host | request to answer | ").AppendJoin(" | ", names).Append(" |\n|---|---|")
            .Append(string.Concat(names.Select(_ => "---|"))).Append('\n');
        foreach (var (name, _, first, stages) in hosts)
            table.Append(CultureInfo.InvariantCulture, $"| {name} | {Spread(first)} | ")
                .AppendJoin(" | ", names.Select(s => stages.TryGetValue(s, out var all) ? Spread(all) : "")).Append(" |\n");
        Console.WriteLine(table);
        if (options.Out is { } file) await File.WriteAllTextAsync(file, table.ToString(), ct);
    }

    /// <summary>Waits until a standby worker is available.</summary>
    internal static async Task StandbyAsync(GatewayProcess gateway, CancellationToken ct)
    {
        while (await gateway.MetricAsync("sluice_standby_workers") < 1)
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, ct);
    }

    /// <summary>Sends a request with no worker, and waits until the worker that it started has stopped.</summary>
    /// <returns>Milliseconds until the answer, and of each stage.</returns>
    internal static async Task<(double Answered, IReadOnlyList<(string Stage, double Ms)> Stages)> OnceAsync(
        GatewayProcess gateway,
        CancellationToken ct)
    {
        var mark = gateway.Process.Mark;
        var began = TimeProvider.System.GetTimestamp();
        using var body = new StringContent(Digit, Encoding.UTF8, "application/json");
        using var answer = await gateway.Client.PostAsync(new Uri("/v2/models/digits/infer", UriKind.Relative), body, ct);
        var answered = TimeProvider.System.GetElapsedTime(began).TotalMilliseconds;
        if (answer.StatusCode != HttpStatusCode.OK) throw new InvalidOperationException(await answer.Content.ReadAsStringAsync(ct));
        var worker = (await gateway.WorkersAsync("digits", "ready"))[0];
        var stages = worker["stages"]!.AsArray().Select(s => ((string)s!["name"]!, (double)s["ms"]!)).ToList();
        await gateway.Process.LineAsync("of digits stopped", mark);
        return (answered, stages);
    }

    internal static Task<GatewayProcess> StartAsync(Dictionary<string, string?> environment, string? program = null) =>
        GatewayProcess.StartAsync(
            Manifest,
            environment: new Dictionary<string, string?>(environment) { ["SLUICE_ADMIN_KEY"] = Key },
            program: program);

    private static string Spread(List<double> all)
    {
        var sorted = all.Order().ToList();
        return string.Create(CultureInfo.InvariantCulture, $"{sorted[sorted.Count / 2]:0} ({sorted[0]:0}-{sorted[^1]:0})");
    }
}
