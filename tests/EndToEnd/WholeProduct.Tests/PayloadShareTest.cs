using System.Net;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>Tests a gateway that loses its payload share or whose disk is full, while another gateway runs.</summary>
[Trait("Matrix", "fault")]
[Trait("Part", "leases")]
public sealed class PayloadShareTest : IAsyncLifetime
{
    private static readonly string Pad = new('x', 300_000);

    private readonly JobCluster cluster = new();
    private readonly string mounts = Directory.CreateTempSubdirectory("sluice-mounts-").FullName;

    private string Mount => Path.Combine(mounts, "share");

    public ValueTask InitializeAsync() => cluster.Redis.InitializeAsync();

    public async ValueTask DisposeAsync()
    {
        await cluster.DisposeAsync();
        Directory.Delete(mounts, recursive: true);
    }

    [Fact]
    public async Task A_gateway_without_its_share_is_not_ready_and_no_job_is_lost()
    {
        Directory.CreateSymbolicLink(Mount, cluster.Payloads);
        await using var healthy = await cluster.StartAsync();
        await using var broken = await cluster.StartAsync(more: new() { ["SLUICE_PAYLOADS"] = Mount });
        var (jobs, others) = (new Jobs(healthy), new Jobs(broken));
        await jobs.RunSyncAsync(1);
        // Their inputs are read before the share is removed; their outputs are written after that.
        var running = await Task.WhenAll(Enumerable.Range(0, 8)
            .Select(i => (i % 2 == 0 ? jobs : others).RunAsync(Job(1500))));
        await Eventually.HoldsAsync(() => running.All(id => StubLog.Lines(cluster.Log)
            .Any(l => l.StartsWith($"begin {id} ", StringComparison.Ordinal))));

        File.Delete(Mount);
        Directory.CreateDirectory(Mount);
        var waiting = await Task.WhenAll(Enumerable.Range(0, 24).Select(_ => jobs.RunAsync(Job(0))));
        foreach (var id in running.Concat(waiting))
        {
            var job = await jobs.EndAsync(id);
            Assert.True((string?)job["status"] == "COMPLETED", job.ToJsonString());
            Assert.Equal(Pad.Length, ((string)job["output"]!["pad"]!).Length);
            Assert.DoesNotContain(mounts, job.ToJsonString(), StringComparison.Ordinal);
        }

        Assert.Contains("SLUICE_PAYLOADS", await NotReadyAsync(broken), StringComparison.Ordinal);
        using (var refused = await others.PostAsync("run", Jobs.Body(Job(0))))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
            Assert.DoesNotContain(mounts, await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        Assert.Empty(Directory.EnumerateFileSystemEntries(Mount));
        Directory.Delete(Mount);
        Directory.CreateSymbolicLink(Mount, cluster.Payloads);
        await Eventually.HoldsAsync(async () => (await ReadyAsync(broken)).IsSuccessStatusCode);
        Assert.Equal("COMPLETED", (string?)(await others.RunSyncAsync(Job(0)))["status"]);
        await jobs.QuietAsync();
    }

    [Fact]
    public async Task A_finished_job_is_stored_when_a_full_disk_has_space_again()
    {
        Require.Available(SmallDisk.WhyNot);
        using var disk = new SmallDisk("4m");
        await using var gateway = await cluster.StartAsync(more: new() { ["SLUICE_PAYLOADS"] = disk.Folder });
        var jobs = new Jobs(gateway);
        await jobs.RunSyncAsync(1);
        disk.Fill();
        var mark = gateway.Process.Mark;
        var id = await jobs.RunAsync(new JsonObject { ["do"] = "huge", ["mib"] = 1 });
        await gateway.EventAsync("OutputStoreFailed", mark, ("Job", id));
        Assert.Equal("IN_PROGRESS", (string?)(await jobs.GetAsync($"status/{id}"))["status"]);
        using (var refused = await jobs.PostAsync("run", Jobs.Body(Job(0))))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
            Assert.Contains("full", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        disk.Free();
        var job = await jobs.EndAsync(id);
        Assert.Equal(("COMPLETED", 0), ((string?)job["status"], (int)job["retries"]!));
        Assert.Single(StubLog.Lines(cluster.Log), l => l.StartsWith($"begin {id} ", StringComparison.Ordinal));
    }

    private static JsonObject Job(int ms) => new() { ["do"] = "sleep", ["ms"] = ms, ["pad"] = Pad };

    private static Task<HttpResponseMessage> ReadyAsync(GatewayProcess gateway) =>
        gateway.Client.GetAsync(new Uri("/readyz", UriKind.Relative));

    private static async Task<string> NotReadyAsync(GatewayProcess gateway)
    {
        var reason = "";
        await Eventually.HoldsAsync(async () =>
        {
            using var answer = await ReadyAsync(gateway);
            if (answer.IsSuccessStatusCode) return false;
            Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
            reason = await answer.Content.ReadAsStringAsync();
            return true;
        });
        return reason;
    }
}
