using Xunit;

namespace Sluice.Testing;

/// <summary>Waits for what tells nobody that it came: asks, and asks again.</summary>
public static class Eventually
{
    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(100);

    /// <summary>Ends when it holds; fails when it never did.</summary>
    public static async Task HoldsAsync(Func<Task<bool>> holds, string what)
    {
        using var limit = new CancellationTokenSource(ChildProcess.Patience, TimeProvider.System);
        while (!await holds())
        {
            if (limit.IsCancellationRequested) Assert.Fail($"it never came: {what}");
            await Task.WhenAny(Task.Delay(AskAgain, TimeProvider.System, limit.Token));
        }
    }
}
