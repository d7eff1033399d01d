using Sluice.Domain.Placement;
using Sluice.Storage.Fleet;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Fleet;

/// <summary>Claims in a real Redis: no device is allocated twice.</summary>
public sealed class GpuStoreTest(RedisFixture redis) : IClassFixture<RedisFixture>, IAsyncLifetime
{
    private const long Memory = 24 * 1024;

    private readonly GpuStore store = new(redis.Store);

    public async ValueTask InitializeAsync() =>
        await store.ReleaseAsync(
            (await store.ListAsync(CancellationToken.None)).Select(h => h.PodId).Append("none"),
            CancellationToken.None);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_whole_device_belongs_to_one_pod_until_it_is_released()
    {
        Assert.Null(await ClaimAsync("a", new HeldDevice("GPU-1"), new HeldDevice("GPU-2")));
        Assert.Equal("GPU-2", await ClaimAsync("b", new HeldDevice("GPU-3"), new HeldDevice("GPU-2")));
        Assert.Equal("GPU-1", await ClaimAsync("b", new HeldDevice("GPU-1", 1)));
        Assert.Equal("a", Assert.Single(await store.ListAsync(CancellationToken.None)).PodId);
        Assert.Null(await ClaimAsync("a", new HeldDevice("GPU-1"), new HeldDevice("GPU-2")));
        await store.ReleaseAsync(["a"], CancellationToken.None);
        Assert.Null(await ClaimAsync("b", new HeldDevice("GPU-3"), new HeldDevice("GPU-2")));
    }

    [Fact]
    public async Task Shares_never_exceed_a_device()
    {
        Assert.Null(await ClaimAsync("a", new HeldDevice("GPU-1", 10 * 1024)));
        Assert.Null(await ClaimAsync("b", new HeldDevice("GPU-1", 14 * 1024)));
        Assert.Equal("GPU-1", await ClaimAsync("c", new HeldDevice("GPU-1", 1)));
        Assert.Equal("GPU-1", await ClaimAsync("c", new HeldDevice("GPU-1")));
    }

    [Fact]
    public async Task Of_many_concurrent_claims_one_succeeds()
    {
        var answers =
            await Task.WhenAll(Enumerable.Range(0, 50).Select(n => ClaimAsync($"p{n}", new HeldDevice("GPU-9"))));
        Assert.Single(answers, a => a is null);
    }

    [Fact]
    public async Task Claims_and_waits_are_read_back_unchanged()
    {
        HeldDevice[] devices = [new HeldDevice("MIG-1"), new HeldDevice("GPU-2", 5)];
        var holding = new GpuAllocation("a", "e", devices) { Node = "node-1" };
        Assert.Null(await store.ClaimAsync(holding, _ => Memory, CancellationToken.None));
        var read = Assert.Single(await store.ListAsync(CancellationToken.None));
        Assert.Equal(("a", "e", "node-1"), (read.PodId, read.EndpointId, read.Node));
        Assert.Equal(holding.Devices, read.Devices);
        var wait = new GpuWait(
            "e", 2, new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero), false, "gpu", "all in use", "");
        await store.SetWaitAsync("e", wait, CancellationToken.None);
        Assert.Equal(wait, await store.WaitOfAsync("e", CancellationToken.None));
        Assert.Equal([wait], await store.WaitsAsync(CancellationToken.None));
        await store.SetWaitAsync("e", null, CancellationToken.None);
        Assert.Null(await store.WaitOfAsync("e", CancellationToken.None));
    }

    [Fact]
    public async Task A_claim_of_an_earlier_build_has_no_node()
    {
        const string claim = """{"podId":"a","endpointId":"e","devices":[{"uuid":"GPU-1"}]}""";
        await redis.Store.Database.HashSetAsync("sluice:{gpus}:claims", "a", claim);
        var read = Assert.Single(await store.ListAsync(CancellationToken.None));
        Assert.Null(read.Node);
        Assert.Equal("GPU-1", await ClaimAsync("b", new HeldDevice("GPU-1")));
    }

    private Task<string?> ClaimAsync(string pod, params HeldDevice[] devices) =>
        store.ClaimAsync(new GpuAllocation(pod, "e", devices), _ => Memory, CancellationToken.None);
}
