using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Sluice.Domain.Declarations;
using Sluice.Domain.UserPods;
using Sluice.Hosting.UserPods;
using Sluice.Storage.Background;
using Sluice.Storage.Redis;
using Sluice.Storage.UserPods;

namespace Sluice.ControlPlane.UserPods;

/// <summary>
/// Brings the pods of this gateway's node to their goals. Of the gateways that use one node, the one with its lease
/// does it. A round compares all pods with all containers; the steps of different pods run concurrently, those of one
/// pod one after another.
/// </summary>
public sealed partial class UserPodController : BackgroundLoop
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    /// <summary>Minimum pause between two rounds: each step causes one.</summary>
    private static readonly TimeSpan Debounce = TimeSpan.FromMilliseconds(50);

    /// <summary>Interval of the search for containers while no pod is declared.</summary>
    private static readonly TimeSpan SearchEvery = TimeSpan.FromSeconds(30);

    /// <summary>Interval of the comparison of GPU claims, of questions about activity, and of measurements.</summary>
    private static readonly TimeSpan SlowEvery = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Maximum concurrent steps. Starts and stops wait for a daemon, which does them one after another.
    /// </summary>
    private const int MostSteps = 16;

    private readonly IUserPodHost host;
    private readonly UserPodStore store;
    private readonly UserPodCatalog catalog;
    private readonly UserPodExecution execution;
    private readonly UserPodGpus gpus;
    private readonly UserPodProbe probe;
    private readonly UserPodMeter meter;
    private readonly UserPodOptions options;
    private readonly TimeProvider time;
    private readonly ILogger<UserPodController> logger;
    private readonly ConcurrentDictionary<string, Task> steps = new();
    private readonly ConcurrentDictionary<string, Task> questions = new();

    /// <summary>When the last step of a pod ended. What was read before it is outdated.</summary>
    private readonly ConcurrentDictionary<string, long> ended = new();

    private volatile TaskCompletionSource wake = New();

    /// <summary>Whether a pod of the last round waits for the end of another one's step.</summary>
    private volatile bool isShort;
    private Task measuring = Task.CompletedTask;
    private string? node;
    private string? installation;
    private long searched;
    private long slow;

    internal UserPodController(
        IUserPodHost host,
        UserPodStore store,
        UserPodCatalog catalog,
        UserPodExecution execution,
        UserPodGpus gpus,
        UserPodProbe probe,
        UserPodMeter meter,
        UserPodOptions options,
        TimeProvider time,
        ILogger<UserPodController> logger)
        : base(time, logger)
    {
        this.host = host;
        this.store = store;
        this.catalog = catalog;
        this.execution = execution;
        this.gpus = gpus;
        this.probe = probe;
        this.meter = meter;
        this.options = options;
        this.time = time;
        this.logger = logger;
        catalog.Changed += () => wake.TrySetResult();
    }

    /// <summary>The node of this gateway; null until its host has responded.</summary>
    public string? Node => node;

    protected override async Task RunAsync(CancellationToken ct)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        searched = slow = time.GetTimestamp() - time.TimestampFrequency * 60;
        try
        {
            while (!ct.IsCancellationRequested)
            {
                var next = wake = New();
                try
                {
                    await RoundAsync(stop.Token);
                }
                catch (InvalidOperationException e) when (!RedisErrors.Is(e))
                {
                    UserPodHostUnavailable(e.Message);
                }
                catch (Exception e) when (!ct.IsCancellationRequested)
                {
                    Failures.Report("Controlling the pods", e);
                }

                using var timer = CancellationTokenSource.CreateLinkedTokenSource(ct);
                await Task.WhenAny(next.Task, SharedTicks.WaitAsync(Every, time, timer.Token));
                await timer.CancelAsync();
                await Task.WhenAny(Task.Delay(Debounce, time, ct));
            }
        }
        finally
        {
            await stop.CancelAsync();
            await Task.WhenAll([.. steps.Values, .. questions.Values, measuring]);
            if (node is not null)
                await Failures.WatchAsync("Giving up the control of the pods", store.ReleaseAsync(node));
        }
    }

    private async Task RoundAsync(CancellationToken ct)
    {
        if (!catalog.Loaded) return;
        var search = time.GetElapsedTime(searched) >= SearchEvery;
        if (catalog.All.Count == 0 && !search) return;
        node ??= await host.FindNodeAsync(ct);
        installation ??= await store.ReadInstallationAsync(ct);
        if (!await store.RenewAsync(node, ct)) return;
        // While the host lists its containers, no other gateway may take over.
        using var listed = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var renewing = KeepLeaseAsync(listed.Token);
        try
        {
            var readAt = time.GetTimestamp();
            await catalog.RefreshAsync(ct);
            var found = (await host.ListAsync(installation, ct)).ToDictionary(i => i.PodId);
            searched = time.GetTimestamp();
            var activity = catalog.All.Any(p => p.Pod.Spec.IdleTimeout > TimeSpan.Zero)
                ? await store.ReadActivityAsync(ct) : new Dictionary<string, DateTimeOffset>();
            var own = catalog.All.Where(p => p.Node is null || p.Node == node).ToList();
            isShort = false;
            // Pods whose last step is oldest come first. Otherwise the same pods would use all steps.
            foreach (var entry in own.Where(e => !ended.TryGetValue(e.Pod.Id, out var at) || at < readAt)
                .OrderBy(e => ended.GetValueOrDefault(e.Pod.Id)))
                Launch(entry, found.GetValueOrDefault(entry.Pod.Id),
                    activity.TryGetValue(entry.Pod.Id, out var at) ? at : null, ct);
            foreach (var gone in ended.Keys.Where(id => catalog.Find(id) is null)) ended.TryRemove(gone, out _);
            await AdoptAsync(found.Values, ct);
            if (time.GetElapsedTime(slow) >= SlowEvery)
            {
                slow = time.GetTimestamp();
                await CompareClaimsAsync(own, ct);
                foreach (var entry in own) Ask(entry, ct);
                if (measuring.IsCompleted)
                    measuring = Failures.WatchAsync("Measuring the pods", meter.MeasureAsync(own, ct));
            }
        }
        finally
        {
            await listed.CancelAsync();
            await renewing;
        }
    }

    private async Task KeepLeaseAsync(CancellationToken ct)
    {
        while (!ct.IsCancellationRequested)
        {
            await Task.WhenAny(SharedTicks.WaitAsync(Every, time, ct));
            if (!ct.IsCancellationRequested)
                await Failures.WatchAsync("Renewing the control of the pods", store.RenewAsync(node!, ct));
        }
    }

    /// <summary>Starts the next step of a pod, unless one runs or nothing is to be done.</summary>
    private void Launch(UserPodEntry entry, UserPodInstance? found, DateTimeOffset? activeAt, CancellationToken ct)
    {
        var id = entry.Pod.Id;
        if (steps.ContainsKey(id)) return;
        var filled = entry with { Pod = UserPodPlaceholders.Fill(entry.Pod, options.UsesPaths) };
        if (entry.Node is not null
            && UserPodPlan.IsSettled(filled.Pod, entry.State, found, activeAt, time.GetUtcNow())) return;
        if (steps.Count >= MostSteps)
        {
            isShort = true;
            return;
        }

        var step = new Task<Task>(() => StepAsync(filled, found, activeAt, ct));
        steps[id] = step.Unwrap();
        step.Start(TaskScheduler.Default);
    }

    private async Task StepAsync(
        UserPodEntry entry, UserPodInstance? found, DateTimeOffset? activeAt, CancellationToken ct)
    {
        var again = false;
        try
        {
            if (entry.Node is null && await store.AssignAsync(node!, entry.Pod.Id, ct) != node) return;
            again = await execution.StepAsync(node!, installation!, entry, found, activeAt, ct);
        }
        catch (InvalidOperationException e) when (!RedisErrors.Is(e))
        {
            UserPodStepFailed(entry.Pod.Id, e.Message);
        }
        catch (Exception e) when (!ct.IsCancellationRequested)
        {
            Failures.Report($"A step of pod {entry.Pod.Id}", e);
        }
        catch (OperationCanceledException)
        {
            // The gateway stops. Another one continues.
        }
        finally
        {
            ended[entry.Pod.Id] = time.GetTimestamp();
            steps.TryRemove(entry.Pod.Id, out _);
            if (again || isShort) wake.TrySetResult();
        }
    }

    /// <summary>
    /// Declares again the pods whose containers exist and which Redis does not know: it has lost its last writes. A
    /// container whose labels cannot be read is deleted.
    /// </summary>
    private async Task AdoptAsync(IEnumerable<UserPodInstance> found, CancellationToken ct)
    {
        foreach (var instance in found.Where(i => catalog.Find(i.PodId) is null))
        {
            if (instance.Declared is not { } declared)
            {
                await host.RemoveAsync(instance.PodId, ct);
                UnknownUserPodRemoved(instance.PodId);
                continue;
            }

            var runs = instance.State == UserPodInstanceState.Running;
            var pod = declared with
            {
                Goal = runs ? UserPodGoal.Running : UserPodGoal.Stopped,
                Cause = "its record was lost, and restored from its container",
            };
            if (await store.CreateAsync(pod, ct) == UserPodChange.Stored) UserPodAdopted(pod.Id, instance.State);
        }
    }

    private async Task CompareClaimsAsync(IReadOnlyList<UserPodEntry> own, CancellationToken ct)
    {
        foreach (var pod in await gpus.ReconcileAsync(own.Where(p => p.Node == node), catalog.All, ct))
        {
            // Two programs that each assume exclusive use of a GPU would both fail.
            UserPodClaimLost(pod);
            if (catalog.Find(pod)?.Pod is { Goal: UserPodGoal.Running } lost)
                await store.ChangeGoalAsync(lost.Id, lost.Revision, UserPodGoal.Stopped,
                    "its GPU claim was lost, and the GPU is assigned to a worker", ct);
        }
    }

    /// <summary>Asks the application of a pod when it was last used, unless a question runs.</summary>
    private void Ask(UserPodEntry entry, CancellationToken ct)
    {
        var (pod, state, _) = entry;
        if (pod.Spec.IdleTimeout == TimeSpan.Zero || pod.Spec.Application == PodApplication.Other) return;
        if (state.Status != UserPodStatus.Running || questions.ContainsKey(pod.Id)) return;
        questions[pod.Id] = Task.Run(async () =>
        {
            var path = UserPodPlaceholders.PathOf(pod, options.UsesPaths);
            await Failures.WatchAsync($"Asking pod {pod.Id} for its activity", AskAsync(path));
            questions.TryRemove(pod.Id, out _);
        }, CancellationToken.None);

        async Task AskAsync(string path)
        {
            if (await probe.ReadActivityAsync(pod, state, path, ct) is { } at)
                await store.RecordActivityAsync([(pod.Id, at)], ct);
        }
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    [LoggerMessage(LogLevel.Warning, "The host of pods does not respond; it is asked again every second: {Error}")]
    private partial void UserPodHostUnavailable(string error);

    [LoggerMessage(LogLevel.Warning, "A step of pod {Pod} failed; it is repeated: {Error}")]
    private partial void UserPodStepFailed(string pod, string error);

    [LoggerMessage(LogLevel.Warning, "Pod {Pod} was restored from its container ({State}): Redis does not know it")]
    private partial void UserPodAdopted(string pod, UserPodInstanceState state);

    [LoggerMessage(LogLevel.Warning, "The container of pod {Pod} was removed: Redis does not know the pod, and the "
        + "labels of the container cannot be read")]
    private partial void UnknownUserPodRemoved(string pod);

    [LoggerMessage(LogLevel.Error, "The GPU claim of pod {Pod} was lost, and its GPU is assigned to a worker")]
    private partial void UserPodClaimLost(string pod);
}
