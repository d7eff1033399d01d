using Microsoft.Extensions.DependencyInjection;
using Sluice.ControlPlane;
using Sluice.ControlPlane.UserPods;
using Sluice.Domain.UserPods;
using Sluice.Hosting.UserPods;
using Sluice.Storage.Tests.ControlPlane;
using Sluice.Storage.UserPods;
using Sluice.Testing;

namespace Sluice.Storage.Tests.UserPods;

/// <summary>Tests that what pods use is measured and stored; on a real Redis.</summary>
public sealed class UserPodMeterTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    [Fact]
    public async Task What_a_pod_uses_is_stored_while_its_host_measures_it()
    {
        using var host = new ScriptedUserPodHost();
        using var workers = new ScriptedHost();
        await using var provider = TestControlPlane.Build(
            redis.Store, redis.Store, workers, TimeProvider.System, services => services
                .AddSingleton<IUserPodHost>(host).AddSingleton(new UserPodOptions(UsesPaths: false))
                .AddSingleton(new UserPodStore(redis.Store, "mine")).AddSingleton<UserPodCatalog>()
                .AddSluiceUserPods());
        var (store, meter) = (provider.GetRequiredService<UserPodStore>(), provider.GetRequiredService<UserPodMeter>());
        foreach (var id in new[] { "measured", "unknown", "exited" }) await store.CreateAsync(Pod(id), default);
        var up = new UserPodState { Status = UserPodStatus.Running };
        UserPodEntry[] pods =
        [
            new(Pod("measured"), up, "node-1"), new(Pod("unknown"), up, "node-1"), new(Pod("gone"), up, "node-1"),
            new(Pod("exited"), up with { Status = UserPodStatus.Exited }, "node-1"),
        ];
        var at = TimeProvider.System.GetUtcNow();
        foreach (var seconds in new[] { 1, 3 })
        {
            foreach (var id in new[] { "measured", "gone", "exited" })
                host.Readings[id] = new UserPodReading(
                    at.AddSeconds(seconds), TimeSpan.FromSeconds(seconds * 0.5), 2, 10, 40);
            await meter.MeasureAsync(pods, default);
        }

        var read = await store.ReadUtilizationAsync(["measured", "unknown", "gone", "exited"], default);
        var (id1, used) = Assert.Single(read);
        Assert.Equal(("measured", 0.5, 25, 25), (id1, used.Cpus, used.CpuPercent, used.MemoryPercent));

        // A terminated pod leaves no measurement behind.
        Assert.True(await store.RenewAsync("node-1", default));
        var stored = (await store.ReadAsync(null, default))!.Value.Pods.First(p => p.Pod.Id == "measured");
        await store.ForgetAsync("node-1", stored.Pod, default);
        Assert.Empty(await store.ReadUtilizationAsync(["measured"], default));
        await store.ReleaseAsync("node-1");
    }

    private static UserPod Pod(string id) => new()
    {
        Id = id,
        Spec = new UserPodSpec { Name = "box", Image = "box:1" },
        Owner = "key",
        CreatedAt = TimeProvider.System.GetUtcNow(),
    };
}
