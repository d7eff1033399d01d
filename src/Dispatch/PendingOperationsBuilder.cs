using Sluice.Storage.Queueing;

namespace Sluice.Dispatch;

/// <summary>
/// Collects the operations of one gateway for one endpoint that do not belong to a waiting ticket, until the next
/// exchange with Redis. Not thread-safe: the owner synchronizes access.
/// </summary>
internal sealed class PendingOperationsBuilder
{
    private readonly Dictionary<string, SlotCount> giveBack = [];
    private readonly HashSet<string> unreachable = [];
    private readonly List<SlotGrant> arrived = [];
    private readonly PendingEnds ends = new();
    private readonly AcceptedGrants accepted = new();

    private bool renewDue;
    private bool resync;
    private bool grantPass;
    private bool checkBlocked;

    /// <summary>Whether no write to Redis is pending.</summary>
    public bool IsEmpty => giveBack.Count + unreachable.Count + arrived.Count == 0 && ends.IsEmpty;

    /// <summary>Whether slots must be returned, or the lease must be renewed or reconciled.</summary>
    public bool HasTickWork => renewDue || giveBack.Count > 0 || resync;

    /// <summary>Whether the next renewal must report accepted grants.</summary>
    public bool HasUnacknowledged => accepted.HasUnacknowledged;

    /// <summary>Returns the accepted grants that Redis has not acknowledged.</summary>
    public IReadOnlyList<string> Unacknowledged() => accepted.Unacknowledged();

    /// <summary>Adds slots to return.</summary>
    public void GiveBack(string pod, int slots, long tokens = 0)
    {
        var before = giveBack.GetValueOrDefault(pod);
        giveBack[pod] = new SlotCount(pod, before.Slots + slots, before.Tokens + tokens);
    }

    /// <summary>Adds slots to return.</summary>
    public void GiveBack(List<SlotCount> slots)
    {
        foreach (var (pod, n, tokens) in slots) GiveBack(pod, n, tokens);
    }

    /// <summary>
    /// Returns the account of this gateway together with the slots that it will return: Redis counts them until then.
    /// </summary>
    public List<SlotCount> WithReturns(List<SlotCount> account) =>
    [
        .. account.Concat(giveBack.Values).GroupBy(s => s.Pod)
            .Select(g => new SlotCount(g.Key, g.Sum(s => s.Slots), g.Sum(s => s.Tokens))),
    ];

    /// <summary>Adds a worker that could not be reached.</summary>
    public void AddUnreachable(string pod) => unreachable.Add(pod);

    /// <summary>Adds a grant to a ticket of this gateway.</summary>
    public void AddArrived(SlotGrant grant) => arrived.Add(grant);

    /// <summary>Adds an end of an attempt.</summary>
    public void AddEnd(PendingEnd end) => ends.Add(end);

    /// <summary>Sets whether the next exchange must renew the lease.</summary>
    public void SetRenewDue(bool isDue) => renewDue = isDue;

    /// <summary>Requests that the slots and tickets are reconciled with Redis.</summary>
    public void RequestResync() => resync = true;

    /// <summary>Sets whether the next exchange must look for free slots.</summary>
    public void SetGrantPass(bool isNeeded) => grantPass = isNeeded;

    /// <summary>Requests that the next exchange looks for free slots.</summary>
    public void RequestGrantPass() => grantPass = true;

    /// <summary>Requests a check if workers of the endpoint can still start.</summary>
    public void RequestBlockedCheck() => checkBlocked = true;

    /// <summary>Records a renewal: Redis knows the accepted grants, and the slots and tickets are reconciled.</summary>
    public void OnRenewed(IReadOnlyList<string> acknowledged)
    {
        resync = false;
        accepted.Acknowledge(acknowledged);
    }

    /// <summary>Drops the slots to return: their lease is lost.</summary>
    public void OnLeaseLost()
    {
        resync = false;
        giveBack.Clear();
    }

    /// <summary>
    /// Adds the operations of an exchange with an unknown outcome again. If the gateway holds a lease, its slots and
    /// tickets must be reconciled with Redis.
    /// </summary>
    public void Restore(PendingOperations work, IEnumerable<PendingEnd> unanswered, bool isLeased)
    {
        resync = isLeased;
        grantPass |= work.GrantPass;
        ends.PutFirst(unanswered);
    }

    /// <summary>Takes all pending operations.</summary>
    /// <param name="lease">The current lease.</param>
    /// <param name="tickets">The tickets, whose operations are taken too.</param>
    /// <param name="spare">The number of slots to lease in addition to those of the tickets.</param>
    public PendingOperations Build(SlotLease lease, WaitingTickets tickets, int spare)
    {
        var work = new PendingOperations
        {
            Holder = lease.Holder,
            FirstLease = !lease.IsHeld,
            Unreachable = unreachable.Drain(),
            Abandoned = tickets.TakeAbandoned(),
            GiveBack = [.. giveBack.Values],
            Ends = ends.TakeAll(),
            GrantPass = grantPass,
            Arrived = arrived.Drain().FindAll(g => accepted.Add(g.Ticket)),
            Fresh = tickets.TakeFresh(),
            Spare = spare,
            CheckBlocked = checkBlocked,
            Renew = renewDue || resync,
            Resync = resync,
        };
        giveBack.Clear();
        grantPass = false;
        checkBlocked = false;
        renewDue = false;
        return work;
    }
}
