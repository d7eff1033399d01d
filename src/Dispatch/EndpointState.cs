using System.Threading.Channels;
using Sluice.Storage.Queueing;

namespace Sluice.Dispatch;

/// <summary>
/// The dispatch state of one gateway for one endpoint. Each part of the state has its own class; this class has the
/// lock that guards all of them, and the signal that wakes the exchange loop.
/// </summary>
/// <remarks>
/// One lock for all parts: a slot, its ticket and its job change together, and a report to Redis must show all of them
/// at one moment.
/// </remarks>
internal sealed class EndpointState(string endpointId, string gatewayId, TimeProvider time)
{
    private readonly Channel<bool> signal = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    public string EndpointId => endpointId;

    public string GatewayId => gatewayId;

    public JobKeys JobKeys { get; } = new(endpointId);

    public DispatchKeys Keys => JobKeys.Dispatch;

    /// <summary>Guards all parts.</summary>
    public Lock Gate { get; } = new();

    public SlotLease Lease { get; } = new(gatewayId);

    public LeasedSlots Slots { get; } = new();

    public TokenSlots Tokens { get; } = new();

    public SlotUsage Usage { get; } = new(time);

    public WaitingTickets Waiting { get; } = new();

    public RunningJobs Jobs { get; } = new();

    public PendingOperationsBuilder Pending { get; } = new();

    /// <summary>Receives an item when there may be pending operations.</summary>
    public ChannelReader<bool> Signal => signal.Reader;

    /// <summary>Wakes the exchange loop.</summary>
    public void Notify() => signal.Writer.TryWrite(true);

    /// <summary>Ends the exchange loop.</summary>
    public void EndSignal() => signal.Writer.TryComplete();

    /// <summary>Closes a worker for new requests and returns its idle slots. The caller holds the lock.</summary>
    public void CloseWorker(string pod)
    {
        var idle = Slots.Close(pod);
        if (idle > 0) Pending.GiveBack(pod, idle);
    }
}
