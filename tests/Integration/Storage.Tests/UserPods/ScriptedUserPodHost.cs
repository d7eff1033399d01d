using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Sluice.Domain.UserPods;
using Sluice.Hosting.UserPods;

namespace Sluice.Storage.Tests.UserPods;

/// <summary>A host whose pods run in memory.</summary>
internal sealed class ScriptedUserPodHost : IUserPodHost
{
    private readonly ConcurrentDictionary<string, UserPodInstance> pods = new();

    /// <summary>What the host measures.</summary>
    public ConcurrentDictionary<string, UserPodReading> Readings { get; } = new();

    public int Running => pods.Values.Count(p => p.State == UserPodInstanceState.Running);

    public Task<string> FindNodeAsync(CancellationToken ct) => Task.FromResult("node-1");

    public Task<IReadOnlyList<UserPodInstance>> ListAsync(string installation, CancellationToken ct) =>
        Task.FromResult<IReadOnlyList<UserPodInstance>>([.. pods.Values]);

    public Task StartAsync(UserPodStart start, Action<string> progress, CancellationToken ct)
    {
        pods[start.Pod.Id] = new UserPodInstance
        {
            PodId = start.Pod.Id,
            State = UserPodInstanceState.Running,
            Fingerprint = start.Fingerprint,
            Declared = start.Pod,
        };
        return Task.CompletedTask;
    }

    public Task RestartAsync(UserPod pod, CancellationToken ct) => Task.CompletedTask;

    public Task StopAsync(UserPod pod, CancellationToken ct)
    {
        pods[pod.Id] = pods[pod.Id] with { State = UserPodInstanceState.Exited };
        return Task.CompletedTask;
    }

    public Task RemoveAsync(string podId, CancellationToken ct)
    {
        pods.TryRemove(podId, out _);
        return Task.CompletedTask;
    }

    public Task<bool> HasVolumeAsync(string podId, CancellationToken ct) => Task.FromResult(false);

    public Task RemoveVolumeAsync(string podId, CancellationToken ct) => Task.CompletedTask;

    public Task<IReadOnlyDictionary<string, UserPodReading>> MeasureAsync(
        IReadOnlyCollection<UserPod> measured, CancellationToken ct) =>
        Task.FromResult<IReadOnlyDictionary<string, UserPodReading>>(Readings.ToDictionary());

    public async IAsyncEnumerable<UserPodLogLine> ReadLogAsync(
        string podId, UserPodLogRange range, [EnumeratorCancellation] CancellationToken ct)
    {
        await Task.CompletedTask;
        yield break;
    }

    public void Dispose()
    {
        // Nothing runs.
    }
}
