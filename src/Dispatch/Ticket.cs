namespace Sluice.Dispatch;

/// <summary>A waiting request of this gateway and its place in the queue. The lock of its endpoint guards it.</summary>
internal sealed class Ticket(string id, SlotRequest request, long since)
{
    private readonly TaskCompletionSource<AcquireResult> answer =
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Id => id;

    public SlotRequest Request => request;

    /// <summary>The timestamp of its arrival.</summary>
    public long Since => since;

    /// <summary>Its entry in the Redis queue; null until Redis has answered.</summary>
    public string? Entry { get; set; }

    public Task<AcquireResult> Answer => answer.Task;

    public bool Done => answer.Task.IsCompleted;

    public bool TryComplete(AcquireResult result) => answer.TrySetResult(result with { Waited = true });
}
