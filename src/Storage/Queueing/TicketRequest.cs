using Sluice.Domain.Fleet;

namespace Sluice.Storage.Queueing;

/// <summary>A ticket as it is stored in the queue.</summary>
/// <param name="Id">The id of the ticket.</param>
/// <param name="Flow">The unit of fair sharing.</param>
/// <param name="Wait">The longest time to wait.</param>
/// <param name="Front">Whether it was granted a slot before, and the request did not reach the worker.</param>
/// <param name="Weight">The share of the flow relative to other flows.</param>
/// <param name="Isolated">
/// Whether its worker was lost while it processed the request. It gets all slots of a worker without other work.
/// </param>
/// <param name="Preferred">The worker that it gets if it is free, unless it is busier than others.</param>
/// <param name="Tokens">
/// The tokens that it may use at most, prompt and answer. It gets only a worker that has room for them, if the worker
/// reports how many it can hold. 0: it generates no text.
/// </param>
public readonly record struct TicketRequest(
    string Id,
    string Flow,
    TimeSpan Wait,
    bool Front,
    double Weight = 1,
    bool Isolated = false,
    PreferredWorker? Preferred = null,
    long Tokens = 0);
