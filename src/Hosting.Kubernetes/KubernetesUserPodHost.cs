using Sluice.Domain.UserPods;
using Sluice.Hosting.UserPods;

namespace Sluice.Hosting.Kubernetes;

/// <summary>
/// A node without pods of users, which this host does not run: the start of each pod is refused with an explanation, so
/// that the pod shows it as its reason.
/// </summary>
internal sealed class KubernetesUserPodHost : IUserPodHost
{
    private const string Explanation =
        "SLUICE_POD_HOST is 'kubernetes', which runs workers of endpoints only; "
        + "expected 'docker' or 'process' for pods";

    public Task<string> FindNodeAsync(CancellationToken ct) => Task.FromResult("kubernetes");

    public Task<IReadOnlyList<UserPodInstance>> ListAsync(string installation, CancellationToken ct) =>
        Task.FromResult<IReadOnlyList<UserPodInstance>>([]);

    public Task StartAsync(UserPodStart start, Action<string> progress, CancellationToken ct) =>
        Task.FromException(new UserPodStartException(Explanation));

    public Task RestartAsync(UserPod pod, CancellationToken ct) =>
        Task.FromException(new UserPodStartException(Explanation));

    public Task StopAsync(UserPod pod, CancellationToken ct) => Task.CompletedTask;

    public Task RemoveAsync(string podId, CancellationToken ct) => Task.CompletedTask;

    public Task<bool> HasVolumeAsync(string podId, CancellationToken ct) => Task.FromResult(false);

    public Task RemoveVolumeAsync(string podId, CancellationToken ct) => Task.CompletedTask;

    public IAsyncEnumerable<UserPodLogLine> ReadLogAsync(string podId, UserPodLogRange range, CancellationToken ct) =>
        AsyncEnumerable.Empty<UserPodLogLine>();

    public void Dispose()
    {
        // It holds nothing.
    }
}
