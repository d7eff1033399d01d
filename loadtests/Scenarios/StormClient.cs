using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Sluice.LoadGenerator;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Those who poll, in a process of their own (`Scenarios storm-client PORT`) and, like a worker, in a session of their
/// own: what measures the others neither waits behind the storm's answers nor shares its turn at the processor with
/// them. A storm is ordered over HTTP and answered when it is over.
/// </summary>
internal sealed class StormClient : IAsyncDisposable
{
    private readonly int port = FreePort.Find();
    private readonly HttpClient http = new() { Timeout = TimeSpan.FromMinutes(2) };

    /// <param name="core">
    /// That it has to itself, where all else was started on others; null: it shares them all.
    /// </param>
    public StormClient(string? core) => Process = new ChildProcess("/usr/bin/setsid",
        [.. core is null ? (string[])[] : ["taskset", "-c", core], Environment.ProcessPath!, "storm-client", port.ToString(CultureInfo.InvariantCulture)],
        new Dictionary<string, string?>
        {
            // As little of the processor as .NET can do with.
            ["DOTNET_PROCESSOR_COUNT"] = "1",
            ["DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS"] = "1",
            ["DOTNET_ThreadPool_UnfairSemaphoreSpinLimit"] = "0",
        });

    public ChildProcess Process { get; }

    public async Task<Seen> RunAsync(Order order, CancellationToken ct)
    {
        using var answer = await http.PostAsJsonAsync(new Uri($"http://127.0.0.1:{port}/"), order, ct);
        return (await answer.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<Seen>(ct))!;
    }

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        await Process.DisposeAsync();
    }

    /// <summary>The process itself: until it is ended.</summary>
    public static async Task ServeAsync(int port, CancellationToken ct)
    {
        using var listener = new HttpListener();
        listener.Prefixes.Add($"http://127.0.0.1:{port}/");
        listener.Start();
        Console.WriteLine("ready");
        while (!ct.IsCancellationRequested)
        {
            var context = await listener.GetContextAsync();
            var order = await JsonSerializer.DeserializeAsync<Order>(context.Request.InputStream, JsonSerializerOptions.Web, ct);
            await using var body = context.Response.OutputStream;
            await JsonSerializer.SerializeAsync(body, await StormAsync(order!, ct), JsonSerializerOptions.Web, ct);
        }
    }

    private static async Task<Seen> StormAsync(Order order, CancellationToken ct)
    {
        var length = TimeSpan.FromSeconds(order.Seconds);
        var each = order.Connections / order.Urls.Length;
        var all = await Task.WhenAll(order.Urls.Select(async (url, n) =>
        {
            var target = Target.Get(new Uri(url), order.Key);
            if (order.Rate == 0)
            {
                using var closed = new ClosedLoop(target, each);
                return await closed.RunAsync(length, ct);
            }

            using var open = new OpenLoop(target, order.Rate / order.Urls.Length, each, n) { Lump = TimeSpan.FromMilliseconds(2) };
            return await open.RunAsync(length, ct);
        }));
        var total = new LoadResult();
        foreach (var one in all) total.Merge(one);
        return new Seen(total.Latency.TotalCount / order.Seconds, total.Refused / order.Seconds, total.Failed - total.Refused, total.Latency.Quantile(0.5) / 1e3,
            total.Latency.Quantile(0.99) / 1e3);
    }

    /// <summary>A storm to make.</summary>
    /// <param name="Urls">What is asked, each by its part of the connections.</param>
    /// <param name="Key">That all of them send.</param>
    /// <param name="Connections">How many there are, at most.</param>
    /// <param name="Rate">Arrivals a second; 0: each connection asks again when it is answered.</param>
    /// <param name="Seconds">How long.</param>
    internal sealed record Order(string[] Urls, string? Key, int Connections, double Rate, double Seconds);

    /// <summary>What a storm saw.</summary>
    /// <param name="Answered">200, a second.</param>
    /// <param name="Refused">429, a second.</param>
    /// <param name="Failed">Neither.</param>
    /// <param name="P50">Of the answers with 200, in ms.</param>
    /// <param name="P99">Of the same.</param>
    internal sealed record Seen(double Answered, double Refused, long Failed, double P50, double P99);
}
