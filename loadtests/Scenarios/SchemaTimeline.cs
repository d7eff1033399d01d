using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using StackExchange.Redis;

namespace Sluice.Scenarios;

/// <summary>
/// Records when the version of the data in Redis changes during a rolling upgrade, and what batches get before and
/// after it.
/// </summary>
/// <param name="database">The Redis of the gateways.</param>
public sealed class SchemaTimeline(IDatabase database)
{
    private const string Key = "sluice:schema";

    private static readonly TimeSpan Every = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    private readonly List<(double Seconds, string What)> entries = [];
    private readonly long began = Stopwatch.GetTimestamp();
    private string last = "";

    /// <summary>The version that Redis had last.</summary>
    public string Current => last;

    /// <summary>Adds an event.</summary>
    public void Add(string what)
    {
        lock (entries) entries.Add((Stopwatch.GetElapsedTime(began).TotalSeconds, what));
    }

    /// <summary>Records changes until it is cancelled.</summary>
    public async Task WatchAsync(CancellationToken ct)
    {
        while (!ct.IsCancellationRequested)
        {
            var now = (string?)await database.StringGetAsync(Key) ?? "none";
            if (now != last) Add($"`{Key}` is `{now}`");
            last = now;
            await Task.WhenAny(Task.Delay(Every, TimeProvider.System, ct));
        }
    }

    /// <summary>Waits until Redis has a version.</summary>
    /// <exception cref="TimeoutException">It has not within 2 minutes.</exception>
    public async Task UntilAsync(string version)
    {
        var since = Stopwatch.GetTimestamp();
        while (last != version)
        {
            if (Stopwatch.GetElapsedTime(since) > Limit)
                throw new TimeoutException($"{Key} is '{last}'; expected '{version}' within {Limit.TotalSeconds} s");
            await Task.Delay(Every, TimeProvider.System);
        }
    }

    /// <summary>Sends a batch of one line, and records the response. The name of its endpoint is its model.</summary>
    public async Task TryBatchAsync(HttpClient client)
    {
        using var form = new MultipartFormDataContent { { new StringContent("batch"), "purpose" } };
        using var file = new StringContent(
            """{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"stub"}}""");
        form.Add(file, "file", "lines.jsonl");
        using var uploaded = await client.PostAsync(new Uri("/v1/files", UriKind.Relative), form);
        var id = (string)(await uploaded.Content.ReadFromJsonAsync<JsonObject>())!["id"]!;
        using var answer = await client.PostAsJsonAsync("/v1/batches",
            new { input_file_id = id, endpoint = "/v1/chat/completions", completion_window = "24h" });
        var body = (await answer.Content.ReadFromJsonAsync<JsonObject>())!;
        Add($"`POST /v1/batches`: {(int)answer.StatusCode} {body["error"]?["code"] ?? body["status"]}");
    }

    /// <summary>Returns the recorded events as a table.</summary>
    public string Report()
    {
        var text = new StringBuilder("| s | |\n|---|---|\n");
        lock (entries)
        {
            foreach (var (seconds, what) in entries)
                text.Append(CultureInfo.InvariantCulture, $"| {seconds:0.0} | {what} |\n");
        }

        return text.ToString();
    }
}
