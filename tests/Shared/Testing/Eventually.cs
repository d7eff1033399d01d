using System.Runtime.CompilerServices;
using Xunit;

namespace Sluice.Testing;

/// <summary>
/// Waits for a condition that has no notification, by polling, and for calls that may never return. It is the only
/// polling loop of the tests.
/// </summary>
public static class Eventually
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(10);

    /// <summary>Completes when the condition holds; fails the test if it never does.</summary>
    /// <param name="holds">The condition.</param>
    /// <param name="what">The name of the condition in the failure; by default its source text.</param>
    public static Task HoldsAsync(Func<bool> holds, [CallerArgumentExpression(nameof(holds))] string what = "") =>
        HoldsAsync(() => Task.FromResult(holds()), what);

    /// <inheritdoc cref="HoldsAsync(Func{bool}, string)"/>
    public static Task HoldsAsync(Func<Task<bool>> holds, [CallerArgumentExpression(nameof(holds))] string what = "") =>
        BecomesAsync(holds, h => h, what);

    /// <summary>Completes with a call; fails the test if it does not return in time.</summary>
    /// <param name="call">The call.</param>
    /// <param name="what">The name of the call in the failure; by default its source text.</param>
    /// <param name="patience">The time for the call; null: that of all tests.</param>
    public static async Task CompletesAsync(
        Task call, [CallerArgumentExpression(nameof(call))] string what = "", TimeSpan? patience = null)
    {
        var limit = patience ?? ChildProcess.Patience;
        if (await Task.WhenAny(call, Task.Delay(limit, TimeProvider.System)) != call)
            Assert.Fail($"the call did not return within {limit.TotalSeconds:0} s: {what}");
        await call;
    }

    /// <inheritdoc cref="CompletesAsync(Task, string, TimeSpan?)"/>
    public static async Task<T> CompletesAsync<T>(
        Task<T> call, [CallerArgumentExpression(nameof(call))] string what = "", TimeSpan? patience = null)
    {
        await CompletesAsync((Task)call, what, patience);
        return await call;
    }

    /// <summary>Returns the first value that meets the condition; fails the test if none does.</summary>
    /// <param name="read">Reads the value.</param>
    /// <param name="holds">The condition.</param>
    /// <param name="what">The name of the condition in the failure; by default its source text.</param>
    public static async Task<T> BecomesAsync<T>(Func<Task<T>> read, Func<T, bool> holds,
        [CallerArgumentExpression(nameof(holds))] string what = "")
    {
        var started = TimeProvider.System.GetTimestamp();
        while (true)
        {
            // A read has its own limit first, for example that of an HTTP client, whose message says more.
            var value = await CompletesAsync(read(), what, 2 * ChildProcess.Patience);
            if (holds(value)) return value;
            if (TimeProvider.System.GetElapsedTime(started) > ChildProcess.Patience)
                Assert.Fail($"the condition never held: {what}; the last value: {value}");
            await Task.Delay(PollInterval, TimeProvider.System);
        }
    }
}
