namespace Sluice.Core.Dispatch;

/// <summary>A request's place in the queue, as its gateway knows it. Guarded by its endpoint's gate.</summary>
internal sealed class Ticket(string id, SlotWish wish, long since)
{
    private readonly TaskCompletionSource<AcquireResult> answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Id => id;

    public SlotWish Wish => wish;

    /// <summary>Timestamp of its arrival.</summary>
    public long Since => since;

    /// <summary>Its entry in Redis' queue; null while Redis has not answered yet.</summary>
    public string? Entry { get; set; }

    public Task<AcquireResult> Answer => answer.Task;

    public bool Done => answer.Task.IsCompleted;

    public bool TryComplete(AcquireResult result) => answer.TrySetResult(result with { Waited = true });
}
