using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Dispatch;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;
using Sluice.Storage.Catalog;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;

namespace Sluice.Scenarios;

/// <summary>
/// Sluice's own job engine without HTTP on either side, as BullMQ has none: the same stores, scripts and dispatcher as
/// in the gateway, jobs submitted by callers in this process and run by a runner that does nothing but store a result.
/// </summary>
internal sealed class JobEngine : IJobRunner, IAsyncDisposable
{
    private static readonly byte[] Input = """{"x":1}"""u8.ToArray();
    private static readonly byte[] Output = """{"ok":true}"""u8.ToArray();

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-payloads-").FullName;
    private readonly string endpoint;
    private readonly bool sweeps;
    private readonly TimeSpan retention;
    private bool before;
    private readonly JobStore store;
    private readonly JobRetention sweep;
    private readonly EndpointDeletions deletions;
    private readonly Dispatcher dispatcher;
    private readonly WorkerSlotStore slots;
    private TaskCompletionSource finished = new();
    private int left;

    /// <param name="redis">Where its jobs are.</param>
    /// <param name="endpoint">Of its own.</param>
    /// <param name="sweeps">
    /// While jobs of a round come as many of the one before lose their data, as in the long run; else all are kept for
    /// as long as it takes.
    /// </param>
    public JobEngine(RedisStore redis, string endpoint, bool sweeps)
    {
        (this.endpoint, this.sweeps) = (endpoint, sweeps);
        // Shorter than what lies between two rounds, longer than a sweep takes.
        retention = sweeps ? TimeSpan.FromSeconds(3) : TimeSpan.FromHours(1);
        var payloads = new PayloadStore(redis, folder);
        store = new JobStore(redis, payloads);
        sweep = new JobRetention(redis, store, payloads);
        deletions = new EndpointDeletions(redis, new CatalogStore(redis), store, new JobQueries(redis, store));
        slots = new WorkerSlotStore(redis);
        dispatcher = new Dispatcher(new GatewayId(Guid.NewGuid().ToString("N")[..16]), redis, slots, TimeProvider.System, NullLogger<Dispatcher>.Instance)
        {
            Runner = this,
        };
    }

    public async Task StartAsync(int concurrency)
    {
        await dispatcher.StartAsync(CancellationToken.None);
        await dispatcher.Subscribed;
        await slots.UpAsync(endpoint, new WorkerAddress("p1", new Uri("http://127.0.0.1:1"), WorkerProtocol.H2c, "t", concurrency), CancellationToken.None);
    }

    /// <summary>Jobs a second, from the first submission to the last result stored.</summary>
    public async Task<double> RunAsync(int jobs, int adders)
    {
        (left, finished) = (jobs, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        var started = TimeProvider.System.GetTimestamp();
        var next = 0;
        var sweeping = sweeps
            ? sweep.RunAsync(endpoint, CancellationToken.None) : Task.FromResult(new SweepAnswer(jobs, null));
        await Task.WhenAll(Enumerable.Range(0, adders).Select(_ => Task.Run(async () =>
        {
            while (Interlocked.Increment(ref next) <= jobs)
            {
                await store.SubmitAsync(new JobSubmission
                {
                    Id = Guid.CreateVersion7().ToString(), EndpointId = endpoint, Flow = "f", Input = Input, Ttl = TimeSpan.FromHours(1),
                    Timeout = TimeSpan.FromMinutes(1), Retention = retention, MaxRuns = 3, MaxQueued = 1_000_000,
                }, CancellationToken.None);
                dispatcher.JobQueued(endpoint);
            }
        })));
        await finished.Task;
        if ((await sweeping).Swept is var swept && before && swept != jobs)
            throw new InvalidOperationException($"{swept} jobs were swept, {jobs} were due");
        before = true;
        return jobs / TimeProvider.System.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>Takes away what rounds left that keep all.</summary>
    public Task ForgetAsync() => deletions.ForgetAsync(endpoint, Fence.NewToken(), ForgetPhase.First, CancellationToken.None);

    public void Start(JobGrant grant) => _ = EndAsync(grant);

    public async ValueTask DisposeAsync()
    {
        await dispatcher.StopAsync(CancellationToken.None);
        dispatcher.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    private async Task EndAsync(JobGrant grant)
    {
        try
        {
            var end = await store.CompleteAsync(grant, Output, default, CancellationToken.None);
            grant.Dispose();
            if (!end.Ended) throw new InvalidOperationException($"{grant.Claim} was not this attempt's to end: {end}");
            if (Interlocked.Decrement(ref left) == 0) finished.TrySetResult();
        }
        catch (Exception e)
        {
            finished.TrySetException(e);
        }
    }
}
