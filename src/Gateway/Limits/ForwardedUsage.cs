using Sluice.Gateway.Forwarding;
using Sluice.Gateway.Tokens;

namespace Sluice.Gateway.Limits;

/// <summary>Collects what is known about the tokens of a forwarded request after its end.</summary>
public static class ForwardedUsage
{
    /// <summary>Returns the evidence.</summary>
    /// <param name="state">The state of the request.</param>
    /// <param name="outcome">Its outcome.</param>
    /// <param name="status">The status of the response.</param>
    /// <param name="estimated">What the request was expected to use at most.</param>
    /// <param name="workers">Reads the usage of an aborted response.</param>
    public static async Task<UsageEvidence> CollectAsync(
        ForwardState state, ForwardOutcome outcome, int status, TokenUsage estimated, WorkerUsage workers)
    {
        var end = EndOf(outcome, status);
        var reported = state.Usage ?? state.Scanner?.FindUsage();
        var parts = Math.Max(state.Stream?.Parts ?? 0, state.Scanner?.Events ?? 0);
        var reports = state.Template.IsBuiltIn || state.UsageAtStart is not null;
        if (reported is null && end == UsageEnd.Aborted && reports && state.Worker is { } worker)
            reported = await workers.ReadAsync(worker, state.UsageId);
        return new UsageEvidence(
            end, state.Attempts > 0, reported, state.UsageAtStart, parts, estimated, state.Template.IsBuiltIn);
    }

    private static UsageEnd EndOf(ForwardOutcome outcome, int status) => outcome switch
    {
        ForwardOutcome.Answered => status < 400 ? UsageEnd.Answered : UsageEnd.Error,
        ForwardOutcome.ClientGone or ForwardOutcome.CutShort or ForwardOutcome.WorkerTimeout => UsageEnd.Aborted,
        _ => UsageEnd.Failed,
    };
}
