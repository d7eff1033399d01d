using Sluice.ControlPlane.Machine;
using Sluice.Domain.UserPods;
using Sluice.Hosting.UserPods;
using Sluice.Storage.Redis;
using Sluice.Storage.UserPods;

namespace Sluice.ControlPlane.UserPods;

/// <summary>
/// Measures what the running pods of this gateway's node use, and stores it, so that every gateway can show it. Calls
/// follow one after another: the use of the processor is that between two of them.
/// </summary>
internal sealed class UserPodMeter(IUserPodHost host, UserPodStore store, GpuInventory inventory, TimeProvider time)
{
    private IReadOnlyDictionary<string, UserPodReading> before = new Dictionary<string, UserPodReading>();

    /// <summary>Measures the pods that are up.</summary>
    public async Task MeasureAsync(IEnumerable<UserPodEntry> pods, CancellationToken ct)
    {
        var running = pods.Where(p => p.State.IsUp).ToList();
        if (running.Count == 0)
        {
            before = new Dictionary<string, UserPodReading>();
            return;
        }

        var readings = await ReadAsync([.. running.Select(p => p.Pod)], ct);
        var used = new List<(string PodId, UserPodUtilization Used)>();
        foreach (var (pod, state, _) in running)
            if (UserPodUtilization.Compute(before.GetValueOrDefault(pod.Id), readings.GetValueOrDefault(pod.Id),
                state.Devices, inventory.Current.Gpus, time.GetUtcNow()) is { } utilization)
                used.Add((pod.Id, utilization));
        before = readings;
        if (used.Count > 0) await store.RecordUtilizationAsync(used, ct);
    }

    private async Task<IReadOnlyDictionary<string, UserPodReading>> ReadAsync(
        IReadOnlyCollection<UserPod> pods, CancellationToken ct)
    {
        try
        {
            return await host.MeasureAsync(pods, ct);
        }
        catch (InvalidOperationException e) when (!RedisErrors.Is(e))
        {
            // The host does not respond now, which the controller logs. Without a reading nothing is shown.
            return new Dictionary<string, UserPodReading>();
        }
    }
}
