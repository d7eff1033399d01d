using Microsoft.Extensions.DependencyInjection;
using Sluice.ControlPlane;
using Sluice.ControlPlane.UserPods;
using Sluice.Domain.UserPods;
using Sluice.Hosting.UserPods;
using Sluice.Storage.Tests.ControlPlane;
using Sluice.Storage.UserPods;
using Sluice.Testing;

namespace Sluice.Storage.Tests.UserPods;

/// <summary>Tests that the controller of a node serves all of its pods; on a real Redis.</summary>
public sealed class UserPodControllerTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    /// <summary>More than the steps that a controller does at the same time.</summary>
    private const int Pods = 60;

    [Fact]
    public async Task Each_of_many_pods_gets_its_steps_and_all_are_started_and_terminated()
    {
        using var host = new ScriptedUserPodHost();
        using var workers = new ScriptedHost();
        await using var provider = TestControlPlane.Build(
            redis.Store, redis.Store, workers, TimeProvider.System, services => services
                .AddSingleton<IUserPodHost>(host).AddSingleton(new UserPodOptions(UsesPaths: false))
                .AddSingleton(new UserPodStore(redis.Store, "mine")).AddSingleton<UserPodCatalog>()
                .AddSluiceUserPods());
        var store = provider.GetRequiredService<UserPodStore>();
        for (var i = 0; i < Pods; i++) await store.CreateAsync(Pod($"p{i}"), default);
        var catalog = provider.GetRequiredService<UserPodCatalog>();
        var controller = provider.GetRequiredService<UserPodController>();
        await catalog.StartAsync(default);
        await controller.StartAsync(default);

        await Eventually.HoldsAsync(() => host.Running == Pods && catalog.All.Count == Pods
            && catalog.All.All(p => p.State.Status == UserPodStatus.Running));
        foreach (var entry in catalog.All)
            Assert.Equal(UserPodChange.Stored, await store.ChangeGoalAsync(
                entry.Pod.Id, entry.Pod.Revision, UserPodGoal.Terminated, "test", default));
        await Eventually.HoldsAsync(() => host.Running == 0
            && catalog.All.All(p => p.State.Status == UserPodStatus.Terminated));

        await controller.StopAsync(default);
        await catalog.StopAsync(default);
    }

    private static UserPod Pod(string id) => new()
    {
        Id = id,
        Spec = new UserPodSpec { Name = "box", Image = "box:1" },
        Owner = "key",
        CreatedAt = TimeProvider.System.GetUtcNow(),
    };
}
