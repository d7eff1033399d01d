namespace Sluice.Storage.Redis;

/// <summary>Lets other ready work run before a loop collects items for its next call.</summary>
public static class ThreadPoolYield
{
    /// <summary>
    /// Completes after all work that is ready now has run. One reply resumes many callers, and most of them issue their
    /// next request immediately. A call that starts before they run would contain few items, and a call costs Redis
    /// about as much as six jobs in it.
    /// </summary>
    /// <remarks>
    /// There is no timer: if no other work is ready, the task completes immediately. <see cref="Task.Yield"/> does not
    /// work here, because its continuation runs before the work that this thread has queued.
    /// </remarks>
    public static Task AfterOthersAsync()
    {
        var turn = new TaskCompletionSource();
        ThreadPool.UnsafeQueueUserWorkItem(static t => t.SetResult(), turn, preferLocal: false);
        return turn.Task;
    }
}
