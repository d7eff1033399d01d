using System.Diagnostics;
using Sluice.Dispatch;
using Sluice.Domain.Declarations;
using Sluice.Domain.Jobs;
using Sluice.Domain.Usage;
using Sluice.Gateway.Limits;
using Sluice.Gateway.Tokens;
using Sluice.Gateway.Usage;
using Sluice.Storage.Jobs;

namespace Sluice.Gateway.Jobs;

/// <summary>
/// Reserves and settles the tokens of one attempt of a job: of the built-in worker, or of a request of the OpenAI API.
/// </summary>
internal sealed class AttemptTokens(
    TokenLimits limits, WorkerUsage workers, UsageRecorder recorder, JobStore store, Deployment deployment,
    JobGrant grant)
{
    private readonly long started = Stopwatch.GetTimestamp();
    private TokenHold? hold;
    private bool hasPath;
    private TokenUsage? reported;

    /// <summary>The id with which the worker reports the usage; null: the job uses no tokens.</summary>
    public string? Id { get; private set; }

    /// <summary>Bytes of the input.</summary>
    public long BytesIn { get; set; }

    /// <summary>Reserves the tokens before the input is sent.</summary>
    /// <param name="input">The input.</param>
    /// <param name="path">The path of a job that is a request; null: the job is for the handler.</param>
    public async Task StartAsync(ReadOnlyMemory<byte> input, string? path)
    {
        hasPath = path is not null;
        if (TextRoutes.AssumedTokens("POST", path ?? "/run", deployment.Template.IsBuiltIn) is not { } assumed) return;
        Id = Guid.NewGuid().ToString("N");
        var claim = grant.Claim;
        // The claim of a gateway whose reply was lost has no flow.
        var flow = claim.Flow.Length > 0 ? claim.Flow : await ReadFlowAsync();
        hold = await limits.StartJobAsync(deployment.Endpoint, flow, claim.Id, input, assumed);
    }

    private async Task<string> ReadFlowAsync() => (await store.LookAsync(
        grant.EndpointId, grant.Claim.Id, null, CancellationToken.None, withOutput: false))?.Flow ?? "";

    /// <summary>Reads what the worker reported.</summary>
    public void OnAnswered(HttpResponseMessage response) =>
        reported = TokenUsage.Find(response.TrailingHeaders) ?? TokenUsage.Find(response.Headers);

    /// <summary>
    /// Settles the tokens, and returns what the attempt used. If the worker must be asked for the tokens, this
    /// continues in the background, because the outcome of the job does not wait for it. The tokens are counted then.
    /// </summary>
    public async Task<WorkUsage> SettleAsync(AttemptOutcome outcome)
    {
        var worker = grant.Slot!.Worker;
        var share = grant.Slot.IsIsolated ? 1 : 1.0 / Math.Max(1, worker.Concurrency);
        var used = new WorkUsage(
            new UsageRow(grant.Claim.Flow, UsageModels.Find(deployment.Endpoint), worker.Gpu ?? ""))
        {
            BytesIn = BytesIn,
            Busy = (long)(Stopwatch.GetElapsedTime(started).TotalMicroseconds * share),
        };
        if (hold is null) return used;
        var isAborted = outcome.Kind == AttemptKind.Stopped || outcome.Status == JobStatus.TimedOut;
        var end = isAborted ? UsageEnd.Aborted
            : outcome.Kind == AttemptKind.Completed ? UsageEnd.Answered
            : outcome.Kind == AttemptKind.Failed ? UsageEnd.Error
            : UsageEnd.Failed;
        if (reported is null && hasPath && end == UsageEnd.Answered) reported = FindUsage(outcome.Output.Span);
        var settling = SettleAsync(hold, end, new WorkUsage(used.Of));
        if (isAborted)
        {
            _ = RecordAsync(settling);
            return used;
        }

        var tokens = await settling;
        return used.WithTokens(tokens.Prompt, tokens.Cached, tokens.Generated, tokens.Wasted);
    }

    private async Task RecordAsync(Task<WorkUsage> settling) => recorder.Add(grant.EndpointId, await settling);

    private async Task<WorkUsage> SettleAsync(TokenHold tokens, UsageEnd end, WorkUsage used)
    {
        var isBuiltIn = deployment.Template.IsBuiltIn;
        if (reported is null && end == UsageEnd.Aborted && isBuiltIn)
            reported = await workers.ReadAsync(grant.Slot!.Worker, Id!);
        var evidence = new UsageEvidence(end, WasSent: true, reported, null, 0, tokens.Estimated, isBuiltIn);
        var usage = await limits.SettleAsync(tokens, grant.Claim.Id, evidence);
        return used.WithTokens(usage.Prompt, usage.Cached, usage.Generated, evidence.Wasted(usage));
    }

    private static TokenUsage? FindUsage(ReadOnlySpan<byte> output)
    {
        var scanner = new UsageScanner();
        scanner.Add(output);
        return scanner.FindUsage();
    }
}
