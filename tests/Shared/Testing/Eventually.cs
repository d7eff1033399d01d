using System.Runtime.CompilerServices;
using Xunit;

namespace Sluice.Testing;

/// <summary>
/// Waits for a condition that has no notification, by polling. It is the only polling loop of the tests.
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
            var value = await read();
            if (holds(value)) return value;
            if (TimeProvider.System.GetElapsedTime(started) > ChildProcess.Patience)
                Assert.Fail($"the condition never held: {what}; the last value: {value}");
            await Task.Delay(PollInterval, TimeProvider.System);
        }
    }
}
