using Sluice.Gateway.Tokens;
using Sluice.Storage.Background;
using Sluice.Storage.Keys;

namespace Sluice.Gateway.Limits;

/// <summary>
/// Settles reservations of tokens, and retries until Redis confirms it. A reservation that is never settled counts as
/// used until its window has passed, so a killed gateway costs a key at most a minute.
/// </summary>
public sealed class TokenSettlements(TokenWindow window, TimeProvider time, ILogger<TokenSettlements> logger)
{
    /// <summary>The most settlements that wait for Redis. Beyond it, the reservations stay as they are.</summary>
    private const int MaxPending = 20_000;

    /// <summary>How long the end of a response waits, so that the next request sees the settlement.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    /// <summary>Without Redis for so long, the window has passed.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(2);

    private readonly FailureLog failures = new(time, logger);
    private int pending;

    /// <summary>Settles a reservation. Returns when it is settled, or waits for Redis in the background.</summary>
    /// <param name="hold">The reservation.</param>
    /// <param name="tokens">The tokens that were used.</param>
    public async Task SettleAsync(TokenHold hold, long tokens)
    {
        if (Interlocked.Increment(ref pending) > MaxPending)
        {
            Interlocked.Decrement(ref pending);
            return;
        }

        var first = TrySettleAsync(hold, tokens);
        _ = RetryAsync(first, hold, tokens);
        // Without Redis, the first try fails immediately.
        await Task.WhenAny(first, Task.Delay(Patience, time));
    }

    private async Task RetryAsync(Task<bool> first, TokenHold hold, long tokens)
    {
        try
        {
            var since = time.GetTimestamp();
            for (var isSettled = await first; !isSettled && time.GetElapsedTime(since) < Longest;)
            {
                await Task.Delay(Pause, time);
                isSettled = await TrySettleAsync(hold, tokens);
            }
        }
        finally
        {
            Interlocked.Decrement(ref pending);
        }
    }

    private async Task<bool> TrySettleAsync(TokenHold hold, long tokens)
    {
        try
        {
            await window.SettleAsync(hold.Flow, hold.Request, tokens, hold.Limit);
            return true;
        }
        catch (Exception e)
        {
            // Exceptions of every type are retried: no caller waits.
            failures.Report($"Settling the tokens of key {hold.Flow}", e);
            return false;
        }
    }
}
