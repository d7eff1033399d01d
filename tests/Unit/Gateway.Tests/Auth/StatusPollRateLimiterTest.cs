using System.Threading.RateLimiting;
using Microsoft.AspNetCore.Http;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Observability;
using Sluice.Testing;

namespace Sluice.Gateway.Tests.Auth;

public sealed class StatusPollRateLimiterTest : IDisposable
{
    private readonly ManualTime time = new();
    private readonly PartitionedRateLimiter<string> none = PartitionedRateLimiter.Create<string, string>(key =>
        RateLimitPartition.GetConcurrencyLimiter(key, _ => new ConcurrencyLimiterOptions
        {
            PermitLimit = 1,
            QueueLimit = 0,
        }));

    private readonly RateLimitLease taken;
    private readonly StatusPollRateLimiter limits;

    public StatusPollRateLimiterTest()
    {
        // The only permit is in use, so every request is rejected.
        taken = none.AttemptAcquire("");
        limits = new StatusPollRateLimiter(1, none, new GatewayMetrics(), time);
    }

    public void Dispose()
    {
        taken.Dispose();
        limits.Dispose();
        none.Dispose();
    }

    [Fact]
    public async Task A_rejection_is_sent_after_the_second_that_it_names()
    {
        var (refused, context) = Ask();
        time.Advance(TimeSpan.FromSeconds(0.99));
        Assert.False(refused.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(0.01));
        await refused;
        Assert.Equal((429, "1"), (context.Response.StatusCode, context.Response.Headers.RetryAfter.ToString()));
    }

    [Fact]
    public async Task A_disconnected_client_is_not_delayed_and_rejections_beyond_the_limit_are_immediate()
    {
        using var leave = new CancellationTokenSource();
        var held = Enumerable.Range(0, StatusPollRateLimiter.MaxDelayed).Select(_ => Ask(leave.Token).Asked).ToList();
        Assert.DoesNotContain(held, h => h.IsCompleted);
        var (one, more) = Ask();
        await one;
        Assert.Equal(429, more.Response.StatusCode);
        await leave.CancelAsync();
        foreach (var gone in held) await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gone);
        var (again, _) = Ask();
        Assert.False(again.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));
        await again;
    }

    private (Task Asked, HttpContext Context) Ask(CancellationToken gone = default)
    {
        var context = new DefaultHttpContext { RequestAborted = gone };
        return (limits.InvokeAsync(context, null, _ => Task.CompletedTask), context);
    }
}
