using System.Diagnostics;
using Sluice.Storage.Keys;
using Sluice.Testing;

namespace Sluice.Storage.Tests.Keys;

/// <summary>Tests the reservation and the settlement of tokens, in windows shorter than a minute.</summary>
public sealed class TokenWindowTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private const long Limit = 10_000;

    /// <summary>Long enough that no part of it passes during a test.</summary>
    private static readonly TimeSpan Long = TimeSpan.FromHours(24);
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(600);
    private static readonly TimeSpan Life = TimeSpan.FromMinutes(5);

    private readonly string key = Guid.NewGuid().ToString("N");

    [Fact]
    public async Task The_sum_of_64_clients_is_at_most_the_limit_of_each_window()
    {
        var window = new TokenWindow(redis.Store, Short);
        var (granted, refused, started) = (0L, 0, Stopwatch.GetTimestamp());
        await Task.WhenAll(Enumerable.Range(0, 64).Select(ClientAsync));
        // The last grant was before the end of the tenth window.
        Assert.InRange(granted, 5 * Limit, 10 * Limit * 101 / 100);
        Assert.True(refused > 0);

        async Task ClientAsync(int client)
        {
            var random = new Random(client);
            while (true)
            {
                var (request, tokens) = (Guid.NewGuid().ToString("N"), random.Next(20, 500));
                var answer = await window.ReserveAsync(key, request, tokens, Limit, Limit, isForced: false, Life);
                if (Stopwatch.GetElapsedTime(started) >= 10 * Short) return;
                if (!answer.IsGranted)
                {
                    Interlocked.Increment(ref refused);
                    // Greedy: most clients do not wait for as long as they should.
                    await Task.Delay(random.NextDouble() * answer.RetryAfter, TimeProvider.System);
                    continue;
                }

                // Most requests use less than they reserved; some end without any use.
                var used = client % 8 == 0 ? 0 : random.Next(tokens / 2, tokens + 1);
                Interlocked.Add(ref granted, used);
                await window.SettleAsync(key, request, used, Limit);
            }
        }
    }

    [Fact]
    public async Task Tokens_that_were_used_in_addition_take_the_place_of_later_ones()
    {
        var window = new TokenWindow(redis.Store, Short);
        var (granted, started) = (0L, Stopwatch.GetTimestamp());
        await Task.WhenAll(Enumerable.Range(0, 16).Select(async client =>
        {
            while (true)
            {
                var request = Guid.NewGuid().ToString("N");
                var answer = await window.ReserveAsync(key, request, 500, Limit, Limit, isForced: false, Life);
                if (Stopwatch.GetElapsedTime(started) >= 10 * Short) return;
                if (answer.IsGranted)
                {
                    Interlocked.Add(ref granted, 1500);
                    await window.SettleAsync(key, request, 1500, Limit);
                }
                else await Task.Delay(answer.RetryAfter, TimeProvider.System);
            }
        }));
        // In addition to the limit, at most what the 16 clients used last.
        Assert.InRange(granted, 5 * Limit, 10 * Limit + 16 * 1500);
    }

    [Fact]
    public async Task A_request_is_refused_until_its_tokens_are_free()
    {
        var window = new TokenWindow(redis.Store, Short);
        Assert.True((await ReserveAsync(window, "a", Limit)).IsGranted);
        var refused = await ReserveAsync(window, "b", 1);
        Assert.False(refused.IsGranted);
        Assert.Equal(0, refused.Remaining);
        Assert.InRange(refused.RetryAfter, TimeSpan.Zero, Short * 62 / 60);
        Assert.Equal(refused.Reset, refused.RetryAfter);
        await Eventually.HoldsAsync(async () => (await ReserveAsync(window, "b", 1)).IsGranted,
            "the reservation that nothing settled expires");
    }

    [Fact]
    public async Task Repeated_calls_have_one_effect()
    {
        var window = new TokenWindow(redis.Store, Long);
        await ReserveAsync(window, "a", 600);
        Assert.Equal(Limit - 600, (await ReserveAsync(window, "a", 600)).Remaining);
        Assert.Equal((true, 100), await window.SettleAsync(key, "a", 100, Limit));
        Assert.Equal((false, 100), await window.SettleAsync(key, "a", 100, Limit));
        Assert.Equal((false, 100), await window.SettleAsync(key, "unknown", 50, Limit));
    }

    [Fact]
    public async Task A_settlement_counts_what_was_used()
    {
        var window = new TokenWindow(redis.Store, Long);
        await ReserveAsync(window, "a", 600);
        await ReserveAsync(window, "b", 400);
        Assert.Equal((true, 650), await window.SettleAsync(key, "a", 250, Limit));
        Assert.Equal((true, 1150), await window.SettleAsync(key, "b", 900, Limit));
        Assert.Equal(Limit - 1150, (await ReserveAsync(window, "c", 0)).Remaining);
    }

    [Fact]
    public async Task A_forced_reservation_above_the_limit_is_debt_that_is_returned()
    {
        var window = new TokenWindow(redis.Store, Long);
        await ReserveAsync(window, "a", Limit - 100);
        var forced = await window.ReserveAsync(key, "b", 500, Limit, Limit, isForced: true, Life);
        Assert.True(forced.IsGranted);
        Assert.Equal(0, forced.Remaining);
        Assert.False((await ReserveAsync(window, "c", 1)).IsGranted);
        Assert.Equal((true, Limit - 70), await window.SettleAsync(key, "b", 30, Limit));
        Assert.True((await ReserveAsync(window, "c", 70)).IsGranted);
    }

    [Fact]
    public async Task Background_work_leaves_the_rest_to_requests()
    {
        var window = new TokenWindow(redis.Store, Long);
        var half = Limit / 2;
        Assert.True((await window.ReserveAsync(key, "a", half, Limit, half, isForced: false, Life)).IsGranted);
        Assert.False((await window.ReserveAsync(key, "b", 1, Limit, half, isForced: false, Life)).IsGranted);
        Assert.True((await ReserveAsync(window, "c", half)).IsGranted);
    }

    [Fact]
    public async Task A_debt_of_several_windows_is_paid_window_by_window()
    {
        var window = new TokenWindow(redis.Store, Short);
        await ReserveAsync(window, "a", 100);
        var started = Stopwatch.GetTimestamp();
        await window.SettleAsync(key, "a", 3 * Limit, Limit);
        var refused = await ReserveAsync(window, "b", Limit);
        Assert.InRange(refused.RetryAfter, 2 * Short, 4 * Short);
        await Eventually.HoldsAsync(async () => (await ReserveAsync(window, "b", Limit)).IsGranted, "the debt is paid");
        Assert.True(Stopwatch.GetElapsedTime(started) >= 2 * Short);
    }

    private Task<TokenAnswer> ReserveAsync(TokenWindow window, string request, long tokens) =>
        window.ReserveAsync(key, request, tokens, Limit, Limit, isForced: false, Life);
}
