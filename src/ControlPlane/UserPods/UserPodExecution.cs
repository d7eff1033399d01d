using Microsoft.Extensions.Logging;
using Sluice.Domain.UserPods;
using Sluice.Hosting.UserPods;
using Sluice.Storage.UserPods;

namespace Sluice.ControlPlane.UserPods;

/// <summary>
/// Carries out the next step of one pod: stores the state that <see cref="UserPodPlan"/> decided, and calls the host.
/// </summary>
internal sealed partial class UserPodExecution(
    IUserPodHost host,
    UserPodStore store,
    UserPodGpus gpus,
    UserPodProbe probe,
    TimeProvider time,
    ILogger<UserPodExecution> logger)
{
    /// <summary>Pause between two attempts to get devices.</summary>
    private static readonly TimeSpan DeviceRetry = TimeSpan.FromSeconds(2);

    private readonly ILogger<UserPodExecution> logger = logger;

    /// <summary>Does the next step. Returns whether another one may follow immediately.</summary>
    /// <param name="node">The node that this gateway controls.</param>
    /// <param name="installation">Identifies the pods' Redis.</param>
    /// <param name="entry">The pod. Placeholders are filled.</param>
    /// <param name="found">Its container; null: none exists.</param>
    /// <param name="activeAt">The time of its last activity.</param>
    /// <param name="ct">Cancels the step.</param>
    public async Task<bool> StepAsync(
        string node,
        string installation,
        UserPodEntry entry,
        UserPodInstance? found,
        DateTimeOffset? activeAt,
        CancellationToken ct)
    {
        var (pod, state, _) = entry;
        var now = time.GetUtcNow();
        if (await ForgetAsync(node, pod, state, found, now, ct)) return false;
        if (UserPodDeadlines.Decide(pod, state, activeAt, now) is var (goal, cause))
            return await ChangeGoalAsync(node, pod, goal, cause, ct);
        var hasVolume = pod.Goal == UserPodGoal.Terminated && found is null
            && await host.HasVolumeAsync(pod.Id, ct);
        var step = UserPodPlan.Decide(pod, state, found, hasVolume, now);
        if (!await StoreAsync(node, pod, state, step.State, ct)) return false;
        if (step.Goal is { } next) return await ChangeGoalAsync(node, pod, next, step.State.Reason, ct);
        switch (step.Action)
        {
            case UserPodAction.Create or UserPodAction.Start:
                return await StartAsync(node, installation, pod, step.State, ct);
            case UserPodAction.Restart:
                await host.RestartAsync(pod, ct);
                return true;
            case UserPodAction.Stop:
                await host.StopAsync(pod, ct);
                return true;
            case UserPodAction.Remove:
                if (found is { State: UserPodInstanceState.Running }) await host.StopAsync(pod, ct);
                await host.RemoveAsync(pod.Id, ct);
                return true;
            case UserPodAction.RemoveVolume:
                await host.RemoveVolumeAsync(pod.Id, ct);
                return true;
            case UserPodAction.Probe when await probe.RespondsAsync(pod, step.State, ct):
                var ready = step.State with { Status = UserPodStatus.Running, Reason = "" };
                await StoreAsync(node, pod, step.State, ready, ct);
                return false;
            default:
                return false;
        }
    }

    /// <summary>
    /// Stores a state if it differs. Returns false if this gateway does not control the node any more.
    /// </summary>
    private async Task<bool> StoreAsync(
        string node, UserPod pod, UserPodState before, UserPodState after, CancellationToken ct)
    {
        if (after.IsSame(before)) return true;
        var changed = after.Status != before.Status || (after.Reason != before.Reason && after.Reason.Length > 0);
        var text = after.Reason.Length > 0 ? $"{Name(after.Status)}: {after.Reason}" : Name(after.Status);
        var note = changed ? new UserPodEvent(time.GetUtcNow(), text) : null;
        if (!await store.ObserveAsync(node, pod.Id, after, note, ct)) return false;
        if (after.Status != before.Status) UserPodChanged(pod.Id, after.Status, after.Reason);
        return true;
    }

    private async Task<bool> ForgetAsync(
        string node, UserPod pod, UserPodState state, UserPodInstance? found, DateTimeOffset now, CancellationToken ct)
    {
        if (state is not { Status: UserPodStatus.Terminated, StoppedAt: { } at } || found is not null) return false;
        if (now - at > UserPodPlan.KeepTerminated) await store.ForgetAsync(node, pod, ct);
        return true;
    }

    private async Task<bool> ChangeGoalAsync(
        string node, UserPod pod, UserPodGoal goal, string cause, CancellationToken ct)
    {
        var note = new UserPodEvent(time.GetUtcNow(), $"{Name(goal)}: {cause}");
        await store.ObserveAsync(node, pod.Id, null, note, ct);
        UserPodGoalChanged(pod.Id, goal, cause);
        // A conflict: a user changed the pod. The next round decides again.
        return await store.ChangeGoalAsync(pod.Id, pod.Revision, goal, cause, ct) == UserPodChange.Stored;
    }

    private async Task<bool> StartAsync(
        string node, string installation, UserPod pod, UserPodState state, CancellationToken ct)
    {
        if (pod.Spec.Gpu is not null && state.Devices.Count == 0) return await AllocateAsync(node, pod, state, ct);
        // Progress is stored one after another, and before the result.
        var progress = Task.CompletedTask;
        try
        {
            await host.StartAsync(new UserPodStart(pod, state, installation), text =>
                progress = ReportAsync(progress, text), ct);
            await progress;
            var up = state with
            {
                Status = UserPodStatus.Starting,
                Reason = "its program was started",
                StoppedAt = null,
            };
            await StoreAsync(node, pod, state, up, ct);
            return true;
        }
        catch (UserPodStartException e)
        {
            await progress;
            var step = UserPodPlan.Fail(state, e.Message, never: !e.CanRetry, time.GetUtcNow());
            if (!await StoreAsync(node, pod, state, step.State, ct)) return false;
            return step.Goal is { } goal && await ChangeGoalAsync(node, pod, goal, e.Message, ct);
        }

        async Task ReportAsync(Task before, string text)
        {
            await before;
            await store.ObserveAsync(node, pod.Id, state with { Reason = text }, null, ct);
        }
    }

    private async Task<bool> AllocateAsync(string node, UserPod pod, UserPodState state, CancellationToken ct)
    {
        var placed = await gpus.AllocateAsync(pod, ct);
        if (placed.Refusal is not { } refusal)
        {
            var share = placed.Devices.Select(d => d.ShareMiB).FirstOrDefault();
            var held = state with { Devices = placed.Uuids, ShareMiB = share, Reason = "has its GPU", RetryAt = null };
            return await StoreAsync(node, pod, state, held, ct);
        }

        var reason = $"waits for a GPU: {refusal}";
        if (refusal.Never)
        {
            var failed = UserPodPlan.Fail(state, reason, never: true, time.GetUtcNow());
            return await StoreAsync(node, pod, state, failed.State, ct)
                && await ChangeGoalAsync(node, pod, UserPodGoal.Stopped, reason, ct);
        }

        var waiting = state with { Reason = reason, RetryAt = time.GetUtcNow() + DeviceRetry };
        await StoreAsync(node, pod, state, waiting, ct);
        return false;
    }

    private static string Name<T>(T value)
        where T : struct, Enum => value.ToString().ToUpperInvariant();

    [LoggerMessage(LogLevel.Information, "Pod {Pod} is {Status}: {Reason}")]
    private partial void UserPodChanged(string pod, UserPodStatus status, string reason);

    [LoggerMessage(LogLevel.Information, "The goal of pod {Pod} is now {Goal}: {Cause}")]
    private partial void UserPodGoalChanged(string pod, UserPodGoal goal, string cause);
}
