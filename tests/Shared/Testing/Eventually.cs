using Xunit;

namespace Sluice.Testing;

/// <summary>Waits for a condition that has no notification, by polling.</summary>
public static class Eventually
{
    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(100);

    /// <summary>Completes when the condition holds; fails the test if it never does.</summary>
    public static async Task HoldsAsync(Func<Task<bool>> holds, string what)
    {
        using var limit = new CancellationTokenSource(ChildProcess.Patience, TimeProvider.System);
        while (!await holds())
        {
            if (limit.IsCancellationRequested) Assert.Fail($"the condition never held: {what}");
            await Task.WhenAny(Task.Delay(AskAgain, TimeProvider.System, limit.Token));
        }
    }
}
