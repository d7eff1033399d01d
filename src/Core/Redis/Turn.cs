namespace Sluice.Core.Redis;

/// <summary>When a loop that gathers work for its next call goes on.</summary>
internal static class Turn
{
    /// <summary>
    /// After all that is ready to run now has had its turn. An answer sets many callers going, and most of them ask for more at once: a call
    /// that was made before they could would take few along, and a call costs Redis about as much as six jobs in it. No timer: where nothing
    /// else is ready it ends at once. Not <see cref="Task.Yield"/>, which goes before what this thread has set going.
    /// </summary>
    public static Task AfterOthersAsync()
    {
        var turn = new TaskCompletionSource();
        ThreadPool.UnsafeQueueUserWorkItem(static t => t.SetResult(), turn, preferLocal: false);
        return turn.Task;
    }
}
