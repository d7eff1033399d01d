using Sluice.Domain.Fleet;
using Sluice.Domain.Gpus;
using Sluice.Hosting;

namespace Sluice.Testing;

/// <summary>
/// A host whose actions a test defines, for states that real hosts reach only when their daemon hangs or fails.
/// </summary>
public sealed class ScriptedHost : IPodHost
{
    public Func<PodSpec, Task<RunningPod>> Start { get; set; } =
        order => Task.FromResult<RunningPod>(new ScriptedPod(order));

    public Func<Task<IReadOnlyList<RunningPod>>> Adopt { get; set; } =
        () => Task.FromResult<IReadOnlyList<RunningPod>>([]);

    public Func<ScriptedPod, Task> Kill { get; set; } = pod =>
    {
        pod.End("killed");
        return Task.CompletedTask;
    };

    public bool KeepsPods => false;

    public bool IsShared { get; init; }

    /// <summary>The pods that the host says are running.</summary>
    public HashSet<string> Running { get; } = [];

    public Task<bool> IsRunningAsync(string podId, CancellationToken ct) => Task.FromResult(Running.Contains(podId));

    /// <summary>Who manages the pods, as the last search received it.</summary>
    public Func<FoundPod, bool>? IsManaged { get; private set; }

    public IGpuSource? Gpus { get; init; }

    public Task<RunningPod> StartAsync(PodSpec order, Action<StartProgress> progress, CancellationToken ct) =>
        Start(order);

    public Task StopAsync(RunningPod pod) => KillAsync(pod);

    public Task KillAsync(RunningPod pod) => Kill((ScriptedPod)pod);

    public Func<Task> Forget { get; set; } = () => Task.CompletedTask;

    public Task ForgetAsync(RunningPod pod, CancellationToken ct = default) => Forget();

    public Task<IReadOnlyList<RunningPod>> AdoptAsync(Func<FoundPod, bool> isManaged, CancellationToken ct)
    {
        IsManaged = isManaged;
        return Adopt();
    }

    public void Dispose()
    {
        // Nothing runs.
    }
}

/// <summary>GPUs that a test defines.</summary>
public sealed class ScriptedGpus(Inventory inventory) : IGpuSource
{
    public TimeSpan ReadInterval => TimeSpan.FromSeconds(30);

    public Task<Inventory?> ReadAsync(CancellationToken ct) => Task.FromResult<Inventory?>(inventory);
}

/// <summary>A pod whose exit a test triggers.</summary>
public sealed class ScriptedPod(PodSpec order, Uri? address = null) : RunningPod(
    order,
    new WorkerAddress(
        order.PodId, address ?? new Uri("http://127.0.0.1:9"), order.Deployment.Template.Protocol, "token", 1),
    TimeProvider.System.GetTimestamp(), TimeProvider.System.GetTimestamp())
{
    private readonly TaskCompletionSource<string> leaving = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<string> exited = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Func<string> Named { get; set; } = () => "scripted";

    public override string Name => Named();

    public override Task<string> Exited => exited.Task;

    public override Task<string> Leaving => leaving.Task;

    public override bool Unsure => Lost;

    public bool Lost { get; set; }

    /// <summary>Its host wants to end it.</summary>
    public void Leave(string why) => leaving.TrySetResult(why);

    public void End(string how) => exited.TrySetResult(how);

    public override void Dispose()
    {
        // Nothing runs.
    }
}
