using System.Net;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>Redis loses its last writes (a power cut, a failover to a replica that lags) under two gateways that run jobs.</summary>
[Trait("Matrix", "fault")]
[Trait("Part", "leases")]
public sealed class RollbackFaultsTest : IAsyncLifetime
{
    private const int Slots = 4;

    private readonly JobCluster cluster = new();

    public ValueTask InitializeAsync() => cluster.Redis.InitializeAsync();

    public async ValueTask DisposeAsync() => await cluster.DisposeAsync();

    [Trait("Fault", "R10")]
    [Fact]
    public async Task A_redis_that_lost_its_last_writes_keeps_no_slot_and_runs_no_job_twice_under_one_fence()
    {
        var manifest = Jobs.Manifest(cluster.Log, max: 1, Slots, "jobs: { maxRuns: 100 }").Replace("600s", "2s", StringComparison.Ordinal);
        await using var a = await cluster.StartAsync(manifest: manifest);
        await using var b = await cluster.StartAsync(manifest: manifest);
        Jobs[] gateways = [new(a), new(b)];
        var (accepted, all, lost) = (new List<string>(), 0, 0);
        var rounds = FaultMatrix.Count(some: 2, whole: 20);
        for (var round = 0; round < rounds; round++)
        {
            accepted.Clear();
            // Before the submission: on a busy machine the first jobs end while the last ones are submitted.
            var ends = Ends();
            await SubmitAsync(Slots * 2);
            // At different moments: while jobs wait, run and end.
            await Eventually.HoldsAsync(() => Ends() >= ends + (round % 3));
            var (known, copy) = (accepted.ToHashSet(), cluster.Redis.CopyLog());
            await SubmitAsync(2);
            await Eventually.HoldsAsync(() => Ends() >= ends + Slots);
            await cluster.Redis.RollBackAsync(copy);
            foreach (var id in known) Assert.Equal("COMPLETED", (string?)(await gateways[round % 2].EndAsync(id))["status"]);
            all += accepted.Count;
            lost += await LostAsync(accepted.Except(known));
            foreach (var jobs in gateways) await jobs.QuietAsync();
            // Exact again in both gateways' accounts: nothing is held for a job that is not there.
            await a.UntilAsync("/api/v1/endpoints/stub/workers", w => w["workers"]!.AsArray().All(worker => worker!["slots"] is not { } slots
                || (int)slots["free"]! == Slots || (bool)slots["draining"]!));
        }

        var fences = StubLog.Lines(cluster.Log).Where(l => l.StartsWith("fence ", StringComparison.Ordinal)).ToList();
        Assert.InRange(fences.Count, all - lost, int.MaxValue);
        Assert.Equal(fences.Count, fences.Distinct().Count());
        await a.UntilAsync("/api/v1/endpoints/stub/workers", w => w["workers"]!.AsArray().Count == 0);
        FaultMatrix.Seen("R10", $"{rounds} rollbacks under {all} jobs: {lost} that were accepted in the time that was lost are unknown, all others COMPLETED; ",
            $"{fences.Count} executions, {fences.Count - fences.Distinct().Count()} fences used twice; all slots free and no worker left afterwards");

        int Ends() => StubLog.Lines(cluster.Log).Count(l => l.StartsWith("end ", StringComparison.Ordinal));

        async Task SubmitAsync(int count)
        {
            foreach (var n in Enumerable.Range(0, count))
                accepted.Add(await gateways[n % 2].RunAsync(JsonNode.Parse($$"""{"do":"sleep","ms":{{100 + (n * 50)}},"fence":1}""")!));
        }

        async Task<int> LostAsync(IEnumerable<string> unsure)
        {
            var unknown = 0;
            foreach (var id in unsure.ToList())
            {
                using var answer = await a.Client.GetAsync(new Uri($"/v2/stub/status/{id}", UriKind.Relative));
                if (answer.StatusCode == HttpStatusCode.NotFound) unknown++;
            }

            return unknown;
        }
    }
}
