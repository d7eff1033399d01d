namespace Sluice.Storage.Jobs;

/// <summary>One delivery attempt; <see cref="Try"/> counts from 1 and fences the write of its result.</summary>
public sealed record WebhookTry(
    string EndpointId,
    string Delivery,
    string Job,
    string Url,
    int Try,
    DateTimeOffset Made);
