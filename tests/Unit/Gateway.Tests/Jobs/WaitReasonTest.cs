using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;
using Sluice.Gateway.Jobs;
using Sluice.Storage.Fleet;

namespace Sluice.Gateway.Tests.Jobs;

public sealed class WaitReasonTest
{
    private static readonly BlockedStart Broken = new("no such model", DateTimeOffset.MaxValue);

    [Theory]
    [InlineData(0, 0, 0, false, false, WaitReason.Paused)]
    [InlineData(3, 0, 0, true, false, WaitReason.CrashLoop)]
    [InlineData(3, 0, 0, false, false, WaitReason.ScalingUp)]
    [InlineData(3, 1, 0, false, false, WaitReason.ScalingUp)]
    [InlineData(3, 1, 0, false, true, WaitReason.LowPriority)]
    [InlineData(3, 3, 0, false, false, WaitReason.AtMaxWorkers)]
    [InlineData(3, 3, 0, true, false, WaitReason.AtMaxWorkers)]
    [InlineData(3, 1, 8, false, false, WaitReason.Dispatching)]
    public void The_reason_names_the_missing_resource(
        int max,
        int workers,
        int free,
        bool broken,
        bool low,
        string reason) =>
        Assert.Equal(reason, Of(max, workers, free, broken ? Broken : null, low).Reason);

    [Theory]
    [InlineData(0, false, false, WaitReason.NoCapacity)]
    [InlineData(0, true, false, WaitReason.NoFittingGpu)]
    [InlineData(0, true, true, WaitReason.NoFittingGpu)]
    [InlineData(1, false, false, WaitReason.NoCapacity)]
    [InlineData(3, false, false, WaitReason.AtMaxWorkers)]
    public void A_wait_for_devices_is_reported_with_the_missing_devices(
        int workers,
        bool never,
        bool broken,
        string reason)
    {
        var wait = new GpuWait("e", 1, default, never, "types", "no L4", "would fit: T4");
        var view = Of(3, workers, 0, broken ? Broken : null, false, wait: wait);
        Assert.Equal(reason, view.Reason);
        if (reason != WaitReason.AtMaxWorkers) Assert.Equal("no L4; would fit: T4.", view.Detail);
    }

    [Theory]
    [InlineData(true, "No GPU is free for its workers.")]
    [InlineData(false, "GPU-1 is taken by secret-endpoint.")]
    public void Clients_without_a_key_do_not_see_which_endpoint_has_the_gpu(bool anonymous, string detail)
    {
        var wait = new GpuWait("e", 1, default, false, "count", "GPU-1 is taken by secret-endpoint", "");
        Assert.Equal(detail, Of(3, 0, 0, null, false, wait: wait, anonymous: anonymous).Detail);
    }

    [Theory]
    [InlineData(true, "No worker is ready yet. A worker is starting.")]
    [InlineData(false, "No worker is ready yet. Worker e-1 is starting: connection refused.")]
    public void The_progress_of_a_starting_worker_is_reported_only_to_clients_with_a_key(
        bool anonymous,
        string detail) =>
        Assert.Equal(detail, Of(3, 0, 0, null, false, anonymous: anonymous, pods: [Starting]).Detail);

    [Fact]
    public void The_estimate_is_position_times_run_time_divided_by_slots_and_null_if_unknown()
    {
        Assert.Equal(125, Of(1, 1, 0, null, false, mean: TimeSpan.FromSeconds(0.2), place: 4).EtaMs);
        Assert.Null(Of(1, 1, 0, null, false).EtaMs);
        Assert.Null(Of(1, 0, 0, null, false, mean: TimeSpan.FromSeconds(1)).EtaMs);
    }

    private static QueueView Of(
        int max,
        int workers,
        int free,
        BlockedStart? blocked,
        bool low,
        TimeSpan? mean = null,
        int place = 0,
        GpuWait? wait = null,
        bool anonymous = false,
        Pod[]? pods = null) => WaitReason.Explain(
        new Job
        {
            Id = "j",
            EndpointId = "e",
            Status = JobStatus.Queued,
            Flow = "f",
            LowPriority = low,
            MeanRun = mean,
            Place = place,
        },
        new Endpoint { Id = "e", Template = "t", Scaling = new ScalePolicy { Max = max } },
        new EndpointSnapshot
        {
            Now = default,
            Queued = 1,
            OldestWait = default,
            Busy = 0,
            Completed = 0,
            Leases = [],
            Workers =
            [
                .. Enumerable.Range(0, workers)
                    .Select(n => new WorkerSlots($"p{n}", 8, free, 8 - free, Draining: false)),
            ],
        }, blocked, wait, pods, anonymous);

    private static Pod Starting => new()
    {
        Id = "e-1",
        EndpointId = "e",
        Template = "t",
        HostId = "h",
        State = PodState.Starting,
        Fingerprint = "f",
        StartedAt = default,
        Reason = "connection refused",
    };
}
