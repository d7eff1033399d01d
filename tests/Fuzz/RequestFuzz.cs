using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using Sluice.Testing;

namespace Sluice.Fuzz;

/// <summary>
/// Sends mutated requests to a real worker or gateway, as JSON and with binary data. No request may crash it or get a
/// response with status 500, and its memory must not grow. The report contains each request whose response had status
/// 500.
/// </summary>
/// <param name="start">Starts the program on a model repository.</param>
/// <param name="templates">The valid requests: path, JSON and binary data.</param>
/// <param name="requests">Number of requests.</param>
/// <param name="seed">The seed of the changes.</param>
internal sealed class RequestFuzz(
    Func<string, Task<FuzzTarget>> start,
    IReadOnlyList<(string Path, byte[] Head, byte[] Tail)> templates,
    int requests,
    int seed)
{
    private const int Callers = 16;

    /// <summary>Number of requests that the report contains at most.</summary>
    private const int MaxReported = 20;

    private readonly ConcurrentDictionary<int, long> statuses = [];
    private readonly ConcurrentQueue<string> wrong = [];
    private readonly List<double> memory = [];
    private long sent;
    private bool crashed;

    /// <summary>Whether the program crashed, or responded to a request with status 500.</summary>
    public bool Failed => crashed || statuses.ContainsKey(500);

    /// <summary>Sends the requests, and returns the report.</summary>
    public async Task<string> RunAsync(CancellationToken ct)
    {
        var repository = Directory.CreateTempSubdirectory("sluice-fuzz-").FullName;
        foreach (var type in TinyModel.ElementTypes.Keys)
            TinyModel.Put(repository, "id-" + type, TinyModel.Identity(type, -1, 2));
        TinyModel.Put(repository, "add", TinyModel.Add("FP32", -1, 2));
        TinyModel.Put(repository, "lookup", TinyModel.Lookup());
        OpenAiTemplates.PutModels(repository);
        await using (var target = await start(repository))
        {
            await CheckAsync(target, ct);
            var callers = Enumerable.Range(0, Callers)
                .Select(c => Task.Run(() => SendAsync(target, new Random(seed + c), ct), ct));
            try
            {
                await Task.WhenAll(callers);
            }
            catch (HttpRequestException) when (target.Process.HasExited)
            {
                // The report says that it crashed.
            }

            crashed = target.Process.HasExited;
        }

        Directory.Delete(repository, recursive: true);
        return Report();
    }

    /// <summary>Changed requests say little if the originals are rejected.</summary>
    private async Task CheckAsync(FuzzTarget target, CancellationToken ct)
    {
        foreach (var (path, head, tail) in templates)
        {
            using var content = new ByteArrayContent([.. head, .. tail]);
            if (tail.Length > 0) content.Headers.Add("Inference-Header-Content-Length", $"{head.Length}");
            using var answer = await target.Client.PostAsync(path, content, ct);
            if (answer.StatusCode != HttpStatusCode.OK)
                throw new InvalidOperationException(
                    $"{path} {Encoding.UTF8.GetString(head)}: {await answer.Content.ReadAsStringAsync(ct)}");
        }
    }

    private async Task SendAsync(FuzzTarget target, Random random, CancellationToken ct)
    {
        while (Interlocked.Increment(ref sent) is var n && n <= requests)
        {
            var (path, head, tail) = templates[random.Next(templates.Count)];
            var (body, length) = Mutation.Apply(random, head, tail);
            using var content = new ByteArrayContent(body);
            if (length is not null) content.Headers.TryAddWithoutValidation("Inference-Header-Content-Length", length);
            using var answer = await target.Client.PostAsync(path, content, ct);
            var text = await answer.Content.ReadAsStringAsync(ct);
            // An error of a stream that has begun is an event.
            var status = text.Contains("\"type\":\"server_error\"", StringComparison.Ordinal)
                && answer.StatusCode != HttpStatusCode.ServiceUnavailable ? 500 : (int)answer.StatusCode;
            statuses.AddOrUpdate(status, 1, (_, k) => k + 1);
            if (status == 500 && wrong.Count < MaxReported)
                wrong.Enqueue($"{path} {length}: {Convert.ToBase64String(body)}: {text}");

            if (n % Math.Max(1, requests / 10) == 0)
                lock (memory) memory.Add(MemoryMiB(target));
        }
    }

    private string Report()
    {
        var text = new StringBuilder(string.Create(CultureInfo.InvariantCulture,
            $"Seed {seed}, {requests:n0} requests by {Callers} callers.\n\n| | |\n|---|---|\n"));
        text.AppendLine($"| process | {(crashed ? "**crashed**" : "runs")} |");
        foreach (var (status, count) in statuses.OrderBy(s => s.Key))
            text.AppendLine(CultureInfo.InvariantCulture, $"| responses with {status} | {count:n0} |");
        text.AppendLine(CultureInfo.InvariantCulture,
            $"| **responses with 500** | **{statuses.GetValueOrDefault(500):n0}** |");
        var tenths = memory.Select(m => m.ToString("0", CultureInfo.InvariantCulture));
        text.AppendLine($"| memory at each tenth, MiB | {string.Join(", ", tenths)} |");
        foreach (var request in wrong) text.AppendLine().AppendLine(request);
        return text.ToString();
    }

    private static double MemoryMiB(FuzzTarget target) => File.ReadLines($"/proc/{target.Process.Id}/status")
        .Where(l => l.StartsWith("VmRSS:", StringComparison.Ordinal))
        .Select(l => double.Parse(l[6..^2].Trim(), CultureInfo.InvariantCulture) / 1024).Single();
}
