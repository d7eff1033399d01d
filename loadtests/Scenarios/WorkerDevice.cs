using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.LoadGenerator;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// The worker on one execution provider, for a machine that has the device and nothing else: what doctor says, where
/// the samples' nodes are placed, and the table of <see cref="WorkerThroughput"/> without its peer.
/// <c>loadtests/gpu/run.sh</c> starts it from a self-contained folder.
/// </summary>
public static class WorkerDevice
{
    private static readonly int[] Concurrencies = [1, 16, 64, 256];
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Connecting = TimeSpan.FromMilliseconds(300);
    private static readonly (string Name, int Width, byte[] Model)[] Models =
        [("trivial", 4, TinyModel.Identity("FP32", -1, 4)), ("mlp", 784, TinyModel.Mlp())];

    /// <param name="worker">The worker's program.</param>
    /// <param name="provider">What is to run the models.</param>
    /// <param name="options">Rounds, their length, and the file for the result.</param>
    /// <param name="ct">Stops it.</param>
    /// <param name="onlyGeneration">Whether only text generation and embeddings are measured.</param>
    public static async Task RunAsync(
        string worker, string provider, ScenarioOptions options, CancellationToken ct, bool onlyGeneration = false)
    {
        var text = new StringBuilder($"# worker on {provider}\n\n{Machine.Describe($"loadtests/gpu/run.sh --provider {provider}")}\n");
        text.Append("## doctor\n\n```\n").Append(await DoctorAsync(worker, provider)).Append("\n```\n");
        if (!onlyGeneration) text.Append("\n## The samples\n\n");
        if (!onlyGeneration) await SamplesAsync(text, worker, provider, ct);
        foreach (var (name, width, model) in onlyGeneration ? [] : Models) await ModelAsync(text, worker, provider, (name, width, model), options, ct);
        await DeviceGeneration.RunAsync(text, provider, (repository, model, port) => Launch(worker, repository, provider, port,
            new Dictionary<string, string?> { ["SLUICE_MODELS"] = model }), options, ct);
        Console.WriteLine(text);
        if (options.Out is { } file) await File.WriteAllTextAsync(file, text.ToString(), ct);
    }

    private static async Task<string> DoctorAsync(string worker, string provider)
    {
        await using var doctor = new ChildProcess(worker, ["doctor"], new Dictionary<string, string?> { ["SLUICE_EXECUTION_PROVIDERS"] = provider });
        await doctor.ExitAsync();
        return doctor.Output;
    }

    private static async Task SamplesAsync(StringBuilder text, string worker, string provider, CancellationToken ct)
    {
        text.Append("| model | nodes | bound | one request |\n|---|---|---|---|\n");
        var samples = Directory.EnumerateDirectories(Repository.Models).Where(d => File.Exists(Path.Combine(d, "example.json")));
        foreach (var model in samples.Select(d => Path.GetFileName(d)).Order())
        {
            var port = WorkerRequests.FreePort();
            await using var process = Launch(worker, Repository.Models, provider, port, new Dictionary<string, string?> { ["SLUICE_MODELS"] = model });
            try
            {
                await process.LineAsync("ready: ");
                using var client = WorkerRequests.Client(port);
                var parameters = JsonNode.Parse(await client.GetStringAsync(new Uri($"/v2/models/{model}/config", UriKind.Relative), ct))!["parameters"]!;
                var (placed, bound) = (parameters["placement"]!["string_value"], parameters["bound"]!["string_value"]);
                text.AppendLine(CultureInfo.InvariantCulture, $"| {model} | {placed} | {bound} | {await AskAsync(client, model, ct)} |");
            }
            catch (InvalidOperationException)
            {
                // It ended before it was ready, and said why.
                text.AppendLine(CultureInfo.InvariantCulture, $"| {model} | does not serve: {process.Output.ReplaceLineEndings(" ")} | | |");
            }
        }
    }

    private static async Task<string> AskAsync(HttpClient client, string model, CancellationToken ct)
    {
        var body = await File.ReadAllTextAsync(Path.Combine(Repository.Models, model, "example.json"), ct);
        var path = body.Contains("\"messages\"", StringComparison.Ordinal) ? "/v1/chat/completions"
            : body.Contains("\"inputs\"", StringComparison.Ordinal) ? $"/v2/models/{model}/infer" : "/v1/embeddings";
        using var answer = await client.PostAsync(new Uri(path, UriKind.Relative), new StringContent(body), ct);
        return $"{(int)answer.StatusCode}: {string.Join(", ", answer.Headers.TryGetValues("Server-Timing", out var timing) ? timing : [])}";
    }

    private static async Task ModelAsync(StringBuilder text, string worker, string provider, (string Name, int Width, byte[] Bytes) model, ScenarioOptions options,
        CancellationToken ct)
    {
        var repository = Directory.CreateTempSubdirectory("sluice-device-bench-").FullName;
        TinyModel.Put(repository, model.Name, model.Bytes);
        var limits = InProcessLimit.Of(Path.Combine(repository, model.Name, "1", "model.onnx"), model.Width, provider);
        text.Append(CultureInfo.InvariantCulture, $"\n## {model.Name}\n\nIn process, without HTTP: {limits.One:n0} rows/s at batch 1 and one caller, ")
            .Append(CultureInfo.InvariantCulture, $"{limits.Ideal:n0} rows/s at batch 32. {options.Rounds} slices of {options.Slice.TotalSeconds:0.#} s ")
            .Append("for each cell; medians with their range.\n");
        (string Title, string Setting)[] ways = provider == "cuda" ? [("", ""), (", CUDA graphs", "enable_cuda_graph=1")] : [("", "")];
        foreach (var (title, setting) in ways)
        {
            var port = WorkerRequests.FreePort();
            await using var process = Launch(worker, repository, provider, port, new Dictionary<string, string?> { ["SLUICE_CUDA_OPTIONS"] = setting });
            try
            {
                await process.LineAsync("ready: ");
            }
            catch (InvalidOperationException)
            {
                text.Append(CultureInfo.InvariantCulture, $"\n{model.Name}{title} does not serve: {process.Output.ReplaceLineEndings(" ")}\n");
                continue;
            }

            await TableAsync(text, title, port, model.Name, model.Width, limits.Ideal, options, ct);
        }

        Directory.Delete(repository, recursive: true);
    }

    private static async Task TableAsync(StringBuilder text, string title, int port, string model, int width, double ideal, ScenarioOptions options, CancellationToken ct)
    {
        using var client = WorkerRequests.Client(port);
        var parameters = JsonNode.Parse(await client.GetStringAsync(new Uri($"/v2/models/{model}/config", UriKind.Relative), ct))!["parameters"]!;
        text.Append(CultureInfo.InvariantCulture, $"\nNodes: {parameters["placement"]!["string_value"]}. Bound: {parameters["bound"]!["string_value"]}{title}.\n\n")
            .Append("| form, connections | requests/s | of the ideal | p50 us | p99 us | mean batch | bytes allocated a request |\n|---|---|---|---|---|---|---|\n");
        foreach (var binary in new[] { false, true })
        {
            var target = WorkerRequests.Infer(port, model, [1, width], binary);
            using (var warm = new ClosedLoop(target, 64)) await warm.RunAsync(WarmUp, ct);
            foreach (var connections in Concurrencies) text.AppendLine(await CellAsync(target, connections, binary, port, model, ideal, options, ct));
        }

        var metrics = (await client.GetStringAsync(new Uri("/metrics", UriKind.Relative), ct)).Split('\n');
        foreach (var line in metrics.Where(l => l.StartsWith("sluice_gpu_", StringComparison.Ordinal)))
            text.Append("\n    ").Append(line);
        text.AppendLine();
    }

    private static async Task<string> CellAsync(Target target, int connections, bool binary, int port, string model, double ideal,
        ScenarioOptions options, CancellationToken ct)
    {
        using var load = new ClosedLoop(target, connections);
        // Connections are made before anything is counted.
        await load.RunAsync(Connecting, ct);
        var (rounds, counted) = (new List<LoadResult>(), default(WorkerCounters));
        for (var round = 0; round < options.Rounds; round++)
        {
            var before = await WorkerRequests.CountersAsync(port, model, ct);
            rounds.Add(await load.RunAsync(options.Slice, ct));
            counted += await WorkerRequests.CountersAsync(port, model, ct) - before;
        }

        if (rounds.Sum(r => r.Failed) is > 0 and var failed) throw new InvalidOperationException($"{failed} requests failed");
        double Median(Func<LoadResult, double> of) => rounds.Select(of).Order().ElementAt(rounds.Count / 2);
        var (rate, least, most) = (Median(r => r.Rate), rounds.Min(r => r.Rate), rounds.Max(r => r.Rate));
        var (half, late) = (Median(r => r.Latency.Quantile(0.5)), Median(r => r.Latency.Quantile(0.99)));
        return string.Create(CultureInfo.InvariantCulture, $"| {(binary ? "binary" : "JSON")}, {connections} | {rate:n0} ({least:n0}-{most:n0}) | ")
            + string.Create(CultureInfo.InvariantCulture, $"{rate / ideal:0.00} | {half:0} | {late:0} | ")
            + string.Create(CultureInfo.InvariantCulture, $"{counted.Rows / counted.Runs:0.0} | {counted.Allocated / rounds.Sum(r => r.Latency.TotalCount):0} |");
    }

    private static ChildProcess Launch(string worker, string repository, string provider, int port, Dictionary<string, string?> environment) =>
        new(worker, [], new Dictionary<string, string?>(environment)
        {
            ["SLUICE_MODEL_REPOSITORY"] = repository, ["SLUICE_POD_TOKEN"] = WorkerProcess.Token, ["SLUICE_HTTP1_PORT"] = $"{port}",
            ["SLUICE_EXECUTION_PROVIDERS"] = provider, ["SLUICE_MODEL_CACHE"] = "",
        });
}
