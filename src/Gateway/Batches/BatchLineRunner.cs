using Sluice.Dispatch;
using Sluice.Domain.Batches;
using Sluice.Domain.Declarations;
using Sluice.Domain.Jobs;
using Sluice.Gateway.Jobs;
using Sluice.Gateway.Limits;
using Sluice.Gateway.Responses;
using Sluice.Gateway.Tokens;
using Sluice.Gateway.Usage;
using Sluice.Storage.Batches;
using Sluice.Storage.Catalog;
using Sluice.Storage.Jobs;
using Sluice.Storage.Queueing;
using Sluice.Storage.Redis;

namespace Sluice.Gateway.Batches;

/// <summary>
/// Runs lines of batches as durable jobs of low priority. The id of the job follows from the line, so a run that
/// continues a batch finds the jobs of the run before it.
/// </summary>
public sealed class BatchLineRunner(JobStore store, JobReader reader, JobSignals signals, Dispatcher dispatcher,
    CatalogWatcher catalog, CanaryJobs canaries, TokenLimits tokens, BudgetGuard budgets, TokenCosts costs,
    TimeProvider time)
{
    /// <summary>The pause after a full queue, or after an error of Redis or of the payload folder.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    /// <summary>The pause of a line whose budget has no room.</summary>
    private static readonly TimeSpan BudgetPause = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How long jobs may wait after the completion window: the run of the batch ends them at its end, and reports it.
    /// </summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(10);

    /// <summary>How long one wait for a job takes; the line then waits again.</summary>
    private static readonly TimeSpan Wait = TimeSpan.FromMinutes(5);

    /// <summary>Runs a line until its job has ended.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="request">What its client asked.</param>
    /// <param name="line">The line.</param>
    /// <param name="left">The rest of the completion window.</param>
    /// <param name="ct">Stops the wait; the job is not affected.</param>
    public async Task<BatchResult> RunAsync(
        BatchState batch, BatchRequest request, BatchLine line, TimeSpan left, CancellationToken ct)
    {
        using var trace = new BatchLineTrace(batch.Id, request.Trace);
        while (true)
        {
            try
            {
                if (catalog.Current.FindByModel(line.Model) is { } named)
                {
                    // A run that continues a batch finds the job also if the shares have changed.
                    var deployment = await canaries.PinAsync(
                        named, line.Model, batch.Owner, JobId(batch.Id, line), ct);
                    if (await TryRunAsync(batch, request, line, deployment, left, trace, ct) is { } job)
                        return BatchResult.From(batch.Id, line, request.Endpoint, job);
                }
                else if (!catalog.State.IsLost)
                {
                    return BatchResult.Failed(batch.Id, line.Number, line.CustomId, "model_not_found",
                        $"No endpoint serves the model '{line.Model}' any more.");
                }
            }
            catch (PayloadException e) when (e.Fault == PayloadFault.Lost)
            {
                return BatchResult.Failed(batch.Id, line.Number, line.CustomId, JobErrors.OutputLost, e.Message);
            }
            catch (Exception e) when (RedisErrors.Is(e) || e is PayloadException)
            {
                // Redis or the payload folder is not available now.
            }

            await Task.Delay(Pause, time, ct);
        }
    }

    /// <summary>Cancels the job of a line, if there is one.</summary>
    public async Task CancelAsync(string batch, BatchLine line, CancellationToken ct)
    {
        if (catalog.Current.FindByModel(line.Model)?.Endpoint.Id is not { } named) return;
        foreach (var endpoint in catalog.Current.CanariesOf(named).Select(c => c.Endpoint.Id).Append(named))
        {
            await store.CancelAsync(endpoint, JobId(batch, line), ct);
            dispatcher.StopJob(endpoint, JobId(batch, line));
        }
    }

    /// <summary>Deletes jobs whose results are in the output, so that a large batch does not fill Redis.</summary>
    public async Task DeleteAsync(IEnumerable<Job> jobs, CancellationToken ct)
    {
        foreach (var endpoint in jobs.GroupBy(j => j.EndpointId))
            await store.ExpireAsync(endpoint.Key, [.. endpoint], ct);
    }

    private static string JobId(string batch, BatchLine line) => $"{batch}-{line.Number}";

    /// <summary>Submits the job, and waits for its end. Null: it was not accepted, or Redis lost it.</summary>
    private async Task<Job?> TryRunAsync(BatchState batch, BatchRequest request, BatchLine line,
        Deployment deployment, TimeSpan left, BatchLineTrace trace, CancellationToken ct)
    {
        var endpoint = deployment.Endpoint;
        var id = JobId(batch.Id, line);
        var path = PathOf(request);
        // Lines wait for the next window of a budget that is used up, as long as the batch is not expired. A run that
        // continues a batch finds the jobs of the run before it, which have their reservations.
        if (budgets.Counts(endpoint.Id, batch.Owner)
            && await store.LookAsync(endpoint.Id, id, null, ct, withOutput: false) is null)
            while (await budgets.TryReserveJobAsync(endpoint.Id, batch.Owner, id,
                tokens.EstimateJob(deployment, path, line.Body), left + Grace) is not null)
                await Task.Delay(BudgetPause, time, ct);
        // Lines wait for tokens; requests of the key are refused.
        while (await tokens.TryReserveJobAsync(endpoint, batch.Owner, id, line.Body,
            TextRoutes.AssumedTokens("POST", path, deployment.Template.IsBuiltIn) ?? 0, ct) is { } wait)
            await Task.Delay(wait > Pause ? wait : Pause, time, ct);
        var job = Submission(batch, request, line, deployment, left);
        var result = await store.SubmitAsync(job with { Trace = trace.Start(endpoint.Id, id) }, ct);
        trace.SetOutcome(result.Outcome);
        if (result.Outcome != SubmitOutcome.Queued)
        {
            await budgets.SettleJobAsync(endpoint.Id, batch.Owner, id, 0);
            return null;
        }

        dispatcher.JobQueued(endpoint.Id);
        while (true)
        {
            var ended = await reader.WaitAsync(endpoint.Id, id, Wait, ct);
            ct.ThrowIfCancellationRequested();
            if (ended is null or { Expired: true }) return null;
            if (ended.IsFinal) return ended;
        }
    }

    private JobSubmission Submission(
        BatchState batch, BatchRequest request, BatchLine line, Deployment deployment, TimeSpan left)
    {
        var (endpoint, path) = (deployment.Endpoint, PathOf(request));
        return new JobSubmission
        {
            Id = JobId(batch.Id, line),
            EndpointId = endpoint.Id,
            Flow = batch.Owner,
            Weight = costs.Weigh(endpoint.Id, batch.Owner, request.Weight),
            Input = request.Endpoint == BatchResponses.Endpoint ? BatchResponses.ToChat(line) : line.Body,
            Path = path,
            Tokens = tokens.EstimateJob(deployment, path, line.Body),
            Ttl = left + Grace,
            Timeout = endpoint.Forwarding.ExecutionTimeout,
            Retention = endpoint.Jobs.Retention,
            MaxRuns = endpoint.Jobs.MaxRuns,
            MaxQueued = endpoint.Jobs.MaxQueued,
            MaxBytes = endpoint.Jobs.MaxBytes,
            FlowMaxBytes = endpoint.Jobs.MaxKeyBytes,
            LowPriority = true,
            Watcher = signals.Watcher,
        };
    }

    /// <summary>The path of the requests to the workers.</summary>
    private static string PathOf(BatchRequest request) =>
        request.Endpoint == BatchResponses.Endpoint ? ResponseCreation.ChatPath : request.Endpoint;
}
