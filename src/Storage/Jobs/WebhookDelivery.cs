namespace Sluice.Storage.Jobs;

/// <summary>Deliveries that are due.</summary>
/// <param name="Tries">The deliveries that were leased.</param>
/// <param name="Unreadable">The deliveries whose records are corrupted. They are due again after the lease.</param>
public sealed record LeasedWebhooks(IReadOnlyList<WebhookTry> Tries, IReadOnlyList<string> Unreadable);

/// <summary>A webhook delivery. Its state is pending, delivered or failed.</summary>
public sealed record WebhookDelivery(
    string Id,
    string Job,
    string Url,
    string JobStatus,
    string State,
    int Tries,
    DateTimeOffset Made,
    DateTimeOffset? Next,
    IReadOnlyList<WebhookNote> Log);

/// <summary>The result of a delivery attempt.</summary>
public sealed record WebhookNote(DateTimeOffset At, string Note);
