using System.Text.RegularExpressions;
using Sluice.Storage.Redis;
using Sluice.Storage.Responses;

namespace Sluice.Gateway.Responses;

/// <summary>Finds, stores and deletes responses. A key sees only its own responses, admin keys too.</summary>
public sealed partial class StoredResponses(ResponseStore store, ResponseSettings settings, TimeProvider time,
    ILogger<StoredResponses> logger)
{
    /// <summary>How long the end of an answer may wait for Redis. The answer is complete without it.</summary>
    private static readonly TimeSpan StorePatience = TimeSpan.FromSeconds(5);

    /// <summary>Returns the record of a response; null: the owner has none with this id.</summary>
    internal async Task<ResponseRecord?> FindAsync(string id, string owner, CancellationToken ct) =>
        // The id is part of a Redis key, so only valid ids are looked up.
        Id().IsMatch(id) && await store.FindAsync(id, owner, ct) is { } stored ? ResponseRecord.Parse(stored) : null;

    /// <summary>
    /// Stores a response that has ended. Returns false if it is too large or Redis is not available: the client has its
    /// answer in any case.
    /// </summary>
    internal async Task<bool> TryStoreAsync(ResponseRecord record, string owner)
    {
        try
        {
            var put = await store.PutAsync(record.Id, owner, record.Write(), settings.Keep, settings.Limits,
                CancellationToken.None).WaitAsync(StorePatience, time);
            if (put) return true;
            ResponseNotStored(record.Id, $"it has more than {settings.Limits.Bytes} bytes");
        }
        catch (Exception e) when (RedisErrors.Is(e) || e is TimeoutException)
        {
            ResponseNotStored(record.Id, e.Message);
        }

        return false;
    }

    /// <summary>Stores a response. Returns false if it is too large.</summary>
    internal Task<bool> StoreAsync(ResponseRecord record, string owner, TimeSpan keep, CancellationToken ct) =>
        store.PutAsync(record.Id, owner, record.Write(), keep, settings.Limits, ct);

    /// <summary>Deletes the record of a response that was not created. If that fails, the record expires.</summary>
    internal async Task TryDeleteAsync(string id, string owner)
    {
        try
        {
            await store.DeleteAsync(id, owner, CancellationToken.None).WaitAsync(StorePatience, time);
        }
        catch (Exception e) when (RedisErrors.Is(e) || e is TimeoutException)
        {
            ResponseNotDeleted(id, e.Message);
        }
    }

    /// <summary>Deletes a response. Returns false if the owner has none with this id.</summary>
    internal Task<bool> DeleteAsync(string id, string owner, CancellationToken ct) =>
        Id().IsMatch(id) ? store.DeleteAsync(id, owner, ct) : Task.FromResult(false);

    [GeneratedRegex("^resp_[0-9a-f]{32}\\z")]
    private static partial Regex Id();

    [LoggerMessage(LogLevel.Warning, "Response {Response} is not stored: {Reason}")]
    private partial void ResponseNotStored(string response, string reason);

    [LoggerMessage(LogLevel.Information, "Response {Response} is not deleted, and expires: {Reason}")]
    private partial void ResponseNotDeleted(string response, string reason);
}
