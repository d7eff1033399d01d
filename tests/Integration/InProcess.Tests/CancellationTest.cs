using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Testing.Llama;

namespace Sluice.InProcess.Tests;

/// <summary>
/// Tests that a cancellation reaches the step of the engine on every path. A worker has two slots and generates one
/// text at a time. Jobs whose texts have tens of thousands of tokens occupy it, so the request runs, or waits at the
/// worker, or waits at the gateway. The worker's own counters show what its engine did.
/// </summary>
[Trait("Needs", "publish")]
public sealed class CancellationTest(CancellationTest.Served served) : IClassFixture<CancellationTest.Served>
{
    /// <summary>Why a request is cancelled.</summary>
    public enum Cause
    {
        /// <summary>Its client closes the connection.</summary>
        ClientGone,

        /// <summary>A call cancels it.</summary>
        Cancelled,

        /// <summary>It has run, or has waited, as long as it may.</summary>
        Deadline,
    }

    /// <summary>Where a request is when it is cancelled.</summary>
    public enum Place
    {
        /// <summary>It waits for a slot of the worker.</summary>
        AtGateway,

        /// <summary>It has a slot, and waits for a row of the cache.</summary>
        InEngine,

        /// <summary>Its text is generated.</summary>
        Running,
    }

    /// <summary>A gateway with a model whose texts are long enough to be cancelled.</summary>
    public sealed class Served : IAsyncLifetime
    {
        private readonly string folder = Directory.CreateTempSubdirectory("sluice-cancellation-").FullName;

        public InProcessGateway Gateway { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            // Below a millisecond for a token: the longest text takes half a minute.
            var shape = new LlamaShape(4, 256, 4, 1, 1024, 512, 32_768);
            var model = Directory.CreateDirectory(Path.Combine(folder, "patient", "1")).FullName;
            LlamaOnnx.Write(new LlamaWeights(shape), model, "{% for m in messages %}{{ m.content }}{% endfor %}");
            Directory.CreateSymbolicLink(Path.Combine(folder, "hasty"), Path.Combine(folder, "patient"));
            var settings = InProcessGateway.WithWorker();
            settings["SLUICE_MODEL_REPOSITORY"] = folder;
            Gateway = await InProcessGateway.StartAsync($$"""
                templates:
                  - name: onnx-cpu
                    concurrency: 2
                    env: { SLUICE_MAX_SEQUENCES: "1", SLUICE_GENERATION_THREADS: "1" }
                endpoints:
                  - { id: patient, template: onnx-cpu, scaling: { min: 1, max: 1 } }
                  - id: hasty
                    template: onnx-cpu
                    scaling: { min: 1, max: 1 }
                    queue: { timeout: 500ms }
                    forwarding: { executionTimeout: 500ms }
                    jobs: { ttl: 1s }

                """, settings);
            foreach (var endpoint in new[] { "patient", "hasty" })
                await Eventually.HoldsAsync(() => SendAsync(Gateway, endpoint), $"{endpoint} is ready");
        }

        public async ValueTask DisposeAsync()
        {
            await Gateway.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }
    }

    public static TheoryData<string, Cause, Place> Cases()
    {
        var cases = new TheoryData<string, Cause, Place>();
        foreach (var (cause, kinds) in new[]
            {
                (Cause.ClientGone, "chat chat-stream"), (Cause.Cancelled, "job job-stream"),
                (Cause.Deadline, "chat chat-stream"),
            })
            foreach (var kind in kinds.Split(' '))
                foreach (var place in Enum.GetValues<Place>())
                    cases.Add(kind, cause, place);
        // The other paths to the same parts of the gateway.
        foreach (var (cause, kinds) in new[]
            {
                (Cause.ClientGone, "response response-stream waiting-job"),
                (Cause.Cancelled, "background background-stream"), (Cause.Deadline, "job job-stream"),
            })
            foreach (var kind in kinds.Split(' '))
                foreach (var place in new[] { Place.InEngine, Place.Running })
                    cases.Add(kind, cause, place);
        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task A_cancellation_ends_the_text_in_the_engine(string kind, Cause cause, Place place)
    {
        var endpoint = cause == Cause.Deadline ? "hasty" : "patient";
        var before = await IdleAsync(endpoint);
        await using var blockers = new Blockers(this, served.Gateway, endpoint);
        await blockers.StartAsync(place switch { Place.Running => 0, Place.InEngine => 1, _ => 2 });
        await using var request = await CancellableRequest.StartAsync(served.Gateway, endpoint, kind);
        if (cause != Cause.Deadline)
        {
            await ReachAsync(endpoint, place);
            await request.CancelAsync();
        }

        await request.EndAsync(cause);
        var expected = place == Place.AtGateway ? 0 : 1;
        await Eventually.BecomesAsync(() => CountAsync(endpoint), c => c.Aborted == before.Aborted + expected
            && c.Running == Math.Min(1, blockers.Count) && c.Waiting == Math.Max(0, blockers.Count - 1),
            $"the engine has ended {expected} texts after {before}");
        await Eventually.HoldsAsync(async () => await DepthAsync(endpoint) == 0, "nothing waits at the gateway");
        await blockers.EndAsync();

        // The engine has generated nothing after the cancellation, and has not begun what waited.
        var idle = await IdleAsync(endpoint);
        Assert.True(await SendAsync(served.Gateway, endpoint));
        var after = await CountAsync(endpoint);
        Assert.Equal(before.Aborted + expected + blockers.Count, after.Aborted);
        Assert.Equal(idle.Generated + 1, after.Generated);
        if (place != Place.Running)
            Assert.Equal(Math.Min(1, blockers.Count), after.Prompts - before.Prompts - 1);
    }

    private async Task ReachAsync(string endpoint, Place place)
    {
        if (place == Place.AtGateway)
            await Eventually.HoldsAsync(async () => await DepthAsync(endpoint) == 1, "one request waits");
        else
            await Eventually.BecomesAsync(() => CountAsync(endpoint),
                c => place == Place.Running ? c.Running == 1 : c.Waiting == 1, $"one text is {place}");
    }

    private Task<EngineCounts> IdleAsync(string endpoint) => Eventually.BecomesAsync(
        () => CountAsync(endpoint), c => c is { Running: 0, Waiting: 0 }, "the engine is idle");

    /// <summary>Generates one token, and returns whether a worker was ready in time.</summary>
    private static async Task<bool> SendAsync(InProcessGateway gateway, string endpoint)
    {
        using var answer = await gateway.Client.PostAsJsonAsync("/v1/completions",
            new { model = endpoint, prompt = "a", max_tokens = 1, ignore_eos = true });
        return answer.IsSuccessStatusCode;
    }

    private Task<double> DepthAsync(string endpoint) =>
        served.Gateway.MetricAsync("sluice_queue_depth", $"endpoint=\"{endpoint}\"");

    private async Task<EngineCounts> CountAsync(string endpoint)
    {
        var page = await served.Gateway.Client.GetStringAsync(new Uri("/metrics/workers", UriKind.Relative));
        return EngineCounts.Read(page, endpoint);
    }

    /// <summary>Jobs that occupy the worker. The first one runs, the second one waits in the engine.</summary>
    private sealed class Blockers(CancellationTest test, InProcessGateway gateway, string endpoint) : IAsyncDisposable
    {
        private readonly Jobs jobs = new(gateway, endpoint);
        private readonly Stack<string> ids = [];

        public int Count { get; private set; }

        public async Task StartAsync(int count)
        {
            while (Count < count)
            {
                ids.Push(await jobs.RunAsync(CancellableRequest.Text(isStreamed: false),
                    """ "policy":{"ttl":600000,"executionTimeout":600000}"""));
                await test.ReachAsync(endpoint, Count++ == 0 ? Place.Running : Place.InEngine);
            }
        }

        /// <summary>Cancels the jobs, those that wait first, and checks that each text ends.</summary>
        public async Task EndAsync()
        {
            while (ids.TryPop(out var id))
            {
                var ended = (await test.CountAsync(endpoint)).Aborted + 1;
                await CancelAsync(id);
                await Eventually.BecomesAsync(
                    () => test.CountAsync(endpoint), c => c.Aborted == ended, $"job {id} has ended");
            }
        }

        /// <summary>Cancels what a failed test has left.</summary>
        public async ValueTask DisposeAsync()
        {
            while (ids.TryPop(out var id)) await CancelAsync(id);
        }

        private async Task CancelAsync(string id)
        {
            using var cancelled = await jobs.PostAsync($"cancel/{id}");
            Assert.True(cancelled.IsSuccessStatusCode);
        }
    }
}
