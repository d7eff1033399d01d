using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using Sluice.Testing;
using Sluice.Worker.Tests.Providers;

namespace Sluice.Worker.Tests.Generation;

/// <summary>
/// Measures the memory of a worker process while 1,000 requests with prompts of 4,001 tokens wait, on request:
/// <c>--explicit only --filter-class '*.QueueMemoryMeasurement' --show-live-output on</c>. SLUICE_MEASURED_WORKER
/// selects another build of the worker.
/// </summary>
[Trait("Needs", "publish")]
public sealed partial class QueueMemoryMeasurement(ITestOutputHelper output) : IDisposable
{
    private const int Requests = 1000, PromptBytes = 4000;

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-memory-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory(Explicit = true)]
    [InlineData("v1/completions", null, null)]
    [InlineData("v2/models/tiny/generate", null, null)]
    [InlineData("run", null, null)]
    [InlineData("v1/completions", "SLUICE_MAX_QUEUE_TOKENS", "1000000")]
    [InlineData("v1/completions", "SLUICE_MAX_QUEUE", "100")]
    public async Task Requests_that_wait(string path, string? limit, string? value)
    {
        TinyModel.Put(folder, "tiny", TinyDecoder.Bytes(context: 8192));
        var environment = new Dictionary<string, string?>
        {
            ["SLUICE_MAX_SEQUENCES"] = "4",
            ["SLUICE_KV_CACHE_BYTES"] = $"{16 << 20}",
        };
        if (limit is not null) environment[limit] = value;
        await using var worker = await WorkerProcess.StartAsync(
            folder, environment, Environment.GetEnvironmentVariable("SLUICE_MEASURED_WORKER"));
        worker.Client.Timeout = TimeSpan.FromMinutes(10);
        for (var i = 0; i < 4; i++) Assert.Equal((HttpStatusCode.OK, ""), await SendAsync(worker, path, -1 - i));
        var before = Memory(worker, "VmRSS");
        var started = Stopwatch.GetTimestamp();
        var requests = Enumerable.Range(0, Requests).Select(i => SendAsync(worker, path, i)).ToList();
        var all = Task.WhenAll(requests);
        var (waiting, tokens) = (0.0, 0.0);
        while (!all.IsCompleted)
        {
            var metrics = await worker.Client.GetStringAsync("metrics");
            waiting = Math.Max(waiting, Value(metrics, "waiting"));
            tokens = Math.Max(tokens, Value(metrics, "waiting_tokens"));
            await Task.WhenAny(all, Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, TestContext.Current.CancellationToken));
        }

        var answers = await all;
        Assert.All(answers, a => Assert.True(a.Status == HttpStatusCode.OK || (a.Status == HttpStatusCode.ServiceUnavailable
            && a.Refusal.StartsWith("1 ", StringComparison.Ordinal) && a.Refusal.Contains(limit!, StringComparison.Ordinal)), a.Refusal));
        var refused = answers.Count(a => a.Status != HttpStatusCode.OK);
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var (peak, after) = (Memory(worker, "VmHWM"), Memory(worker, "VmRSS"));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"| `/{path}` | {(limit is null ? "defaults" : $"`{limit}={value}`")} | {waiting:F0} | {tokens:N0} "
            + $"| {Requests - refused} | {refused} | {before:F0} | {peak:F0} | {after:F0} | {seconds:F0} s |"));
        if (answers.FirstOrDefault(a => a.Status != HttpStatusCode.OK).Refusal is { } text) output.WriteLine(text);
    }

    private static async Task<(HttpStatusCode Status, string Refusal)> SendAsync(
        WorkerProcess worker,
        string path,
        int number)
    {
        // Different prompts, so that no text takes another one's tokens from the cache.
        var random = new Random(number);
        var prompt = new StringBuilder(PromptBytes);
        while (prompt.Length < PromptBytes) prompt.Append((char)random.Next('a', 'z' + 1));
        var body = path switch
        {
            "run" => $$"""{"input":{"text_input":"{{prompt}}","max_tokens":4,"temperature":0} }""",
            "v1/completions" => $$"""{"model":"tiny","prompt":"{{prompt}}","max_tokens":4,"temperature":0}""",
            _ => $$"""{"text_input":"{{prompt}}","max_tokens":4,"temperature":0}""",
        };
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var answer = await worker.Client.PostAsync(new Uri(path, UriKind.Relative), content);
        var text = await answer.Content.ReadAsStringAsync();
        return (answer.StatusCode, answer.IsSuccessStatusCode ? "" : $"{answer.Headers.RetryAfter} {text}");
    }

    private static double Value(string metrics, string name) =>
        Regex.Match(metrics, $"^sluice_generation_{name}{{.*}} (\\d+)$", RegexOptions.Multiline) is { Success: true } match
            ? double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture)
            : 0;

    /// <summary>Memory of the process in MiB.</summary>
    private static double Memory(WorkerProcess worker, string name) => double.Parse(
        Status().Matches(File.ReadAllText($"/proc/{worker.Process.Id}/status")).First(m => m.Groups[1].Value == name)
            .Groups[2].Value,
        CultureInfo.InvariantCulture) / 1024;

    [GeneratedRegex(@"^(\w+):\s+(\d+) kB$", RegexOptions.Multiline)]
    private static partial Regex Status();
}
