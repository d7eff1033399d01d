using System.Globalization;
using Sluice.Domain.Declarations;
using Sluice.Gateway.Authentication;
using Sluice.Gateway.Http;
using Sluice.Gateway.Observability;
using Sluice.Gateway.Tokens;
using Sluice.Storage.Background;
using Sluice.Storage.Keys;
using Sluice.Storage.Redis;
using Endpoint = Sluice.Domain.Declarations.Endpoint;

namespace Sluice.Gateway.Limits;

/// <summary>
/// Enforces the tokens per minute of keys: reserves what a request may use before it is sent, and settles what it used.
/// It also records the usage of each request. While Redis is unavailable, tokens are not limited, as requests are not.
/// </summary>
public sealed partial class TokenLimits(TokenWindow window, TokenSettlements settlements, TokenCosts costs,
    PromptEstimates prompts, ApiKeyCache keys, GatewayMetrics metrics, TimeProvider time, ILogger<TokenLimits> logger)
{
    /// <summary>
    /// The share of a key's limit that its jobs and batches may use: they wait, and requests would be refused.
    /// </summary>
    public const double BackgroundShare = 0.5;

    private static readonly TimeSpan ReserveTimeout = TimeSpan.FromSeconds(1);

    /// <summary>Larger bodies of keys without a limit are estimated by their length, so that they stream.</summary>
    private const long MaxReadBytes = 1 << 20;

    /// <summary>After a request has ended, a reservation without settlement need not be known for long.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(5);

    private readonly FailureLog failures = new(time, logger);

    /// <summary>Reserves the tokens of a request. Null: a response was written.</summary>
    /// <param name="context">The request. Its body is not consumed.</param>
    /// <param name="admission">The admitted request.</param>
    /// <param name="assumed">The tokens of a text for which the request declares none.</param>
    /// <param name="counts">
    /// Whether dispatch needs the tokens, also of a key without a limit. Otherwise its body is not read here, and its
    /// prompt is estimated by the length of the body.
    /// </param>
    public async Task<TokenHold?> ReserveAsync(
        HttpContext context, AuthenticatedRequest admission, long assumed, bool counts)
    {
        var endpoint = admission.Deployment!.Endpoint;
        var limit = admission.Caller?.Limits.TokensPerMinute ?? 0;
        if (limit == 0)
        {
            if (!counts || context.Request.ContentLength is 0 or > MaxReadBytes)
            {
                var prompt = (context.Request.ContentLength ?? 0) / GenerationDemand.BytesOfToken;
                return new TokenHold(endpoint.Id, admission.Flow, "", 0, new TokenUsage(prompt, 0, assumed));
            }

            // Dispatch needs it: a worker gets only texts for which its cache has room.
            return await ReadDemandAsync(context, endpoint, MaxReadBytes) is { } seen
                ? HoldOf(endpoint, admission.Flow, "", 0, seen, assumed)
                : null;
        }

        if (await ReadDemandAsync(context, endpoint, long.MaxValue) is not { } demand) return null;
        if (demand.MaxTokens is not null && demand.Generated(assumed) > limit)
        {
            await RefuseForeverAsync(context, admission.Flow, demand, limit);
            return null;
        }

        var hold = HoldOf(endpoint, admission.Flow, Guid.NewGuid().ToString("N"), limit, demand, assumed);
        // A request may use more than the limit only if it does not declare it. It then waits for the whole limit.
        var tokens = Math.Min(limit, hold.Estimated.Total);
        if (await TryReserveAsync(hold, tokens, limit, isForced: false, endpoint, context.RequestAborted)
            is not { } answer) return hold;
        RateLimitHeaders.For(context).SetTokens(limit, answer.Remaining, answer.Reset);
        if (answer.IsGranted) return hold;
        await RefuseAsync(context, hold, tokens, answer);
        return null;
    }

    /// <summary>
    /// Starts the attempt of a job. It is not refused: tokens above the limit are debt of the key.
    /// </summary>
    /// <param name="endpoint">The endpoint.</param>
    /// <param name="flow">The id of the key, or the public flow.</param>
    /// <param name="job">The id of the job.</param>
    /// <param name="input">The input.</param>
    /// <param name="assumed">The tokens of a text for which the job declares none.</param>
    public async Task<TokenHold> StartJobAsync(
        Endpoint endpoint, string flow, string job, ReadOnlyMemory<byte> input, long assumed)
    {
        var hold = HoldOf(endpoint, flow, job, input, assumed);
        if (hold.IsReserved)
            await TryReserveAsync(hold, Math.Min(hold.Limit, hold.Estimated.Total), hold.Limit, isForced: true,
                endpoint, CancellationToken.None);
        return hold;
    }

    /// <summary>
    /// Reserves the tokens of a job before it is submitted, in the share of background work. Returns the time to wait;
    /// null: they are reserved, or the key has no limit.
    /// </summary>
    public async Task<TimeSpan?> TryReserveJobAsync(
        Endpoint endpoint, string flow, string job, ReadOnlyMemory<byte> input, long assumed, CancellationToken ct)
    {
        var hold = HoldOf(endpoint, flow, job, input, assumed);
        if (!hold.IsReserved) return null;
        var most = Math.Max(1, (long)(hold.Limit * BackgroundShare));
        var answer = await TryReserveAsync(
            hold, Math.Min(most, hold.Estimated.Total), most, isForced: false, endpoint, ct);
        return answer is { IsGranted: false } refused ? refused.RetryAfter : null;
    }

    /// <summary>
    /// Returns the tokens that a job may use at most, prompt and answer, for dispatch; 0: it generates no text. The
    /// number is rounded up by less than an eighth, so that jobs that are submitted together share their text in Redis.
    /// </summary>
    /// <param name="deployment">The endpoint and its template.</param>
    /// <param name="path">The path of the worker.</param>
    /// <param name="input">The input.</param>
    public long EstimateJob(Deployment deployment, string path, ReadOnlyMemory<byte> input)
    {
        var assumed = TextRoutes.AssumedTokens("POST", path, deployment.Template.IsBuiltIn) ?? 0;
        if (assumed == 0) return 0;
        var demand = input.Length <= MaxReadBytes
            ? GenerationDemand.Read(new System.Buffers.ReadOnlySequence<byte>(input))
            : new GenerationDemand(input.Length / GenerationDemand.BytesOfToken, null, 1);
        var tokens = prompts.Expect(deployment.Endpoint.Id, demand) + demand.Generated(assumed);
        var step = 1L << Math.Max(0, System.Numerics.BitOperations.Log2((ulong)tokens) - 3);
        return (tokens + step - 1) / step * step;
    }

    /// <summary>Returns the tokens of a job that was reserved, but not submitted.</summary>
    public Task ReturnJobAsync(Endpoint endpoint, string flow, string job)
    {
        var hold = HoldOf(endpoint, flow, job, default, 0);
        return hold.IsReserved ? settlements.SettleAsync(hold, 0) : Task.CompletedTask;
    }

    /// <summary>Records the usage of a request that ended, and settles its reservation. Returns the usage.</summary>
    /// <param name="hold">The tokens of the request.</param>
    /// <param name="request">The id of the request, for the log.</param>
    /// <param name="evidence">What is known about its tokens.</param>
    public async Task<TokenUsage> SettleAsync(TokenHold hold, string request, UsageEvidence evidence)
    {
        var usage = evidence.Decide();
        var wasted = evidence.Wasted(usage);
        metrics.TokensUsed(hold.Endpoint, usage, wasted);
        costs.Record(hold.Endpoint, hold.Flow, usage.Total);
        if (evidence is { End: UsageEnd.Answered, Reported: { } reported })
            prompts.Learn(hold.Endpoint, hold.PromptByBytes, reported.Prompt);
        if (hold.IsReserved) await settlements.SettleAsync(hold, usage.Total);
        if (usage.Total > 0)
            TokensUsed(request, hold.Flow, hold.Endpoint, usage.Prompt, usage.Cached, usage.Generated, wasted);
        return usage;
    }

    private TokenHold HoldOf(
        Endpoint endpoint, string flow, string job, ReadOnlyMemory<byte> input, long assumed)
    {
        var limit = keys.FindLimits(flow).TokensPerMinute;
        if (limit == 0) return new TokenHold(endpoint.Id, flow, "", 0, default);
        var demand = GenerationDemand.Read(new System.Buffers.ReadOnlySequence<byte>(input));
        return HoldOf(endpoint, flow, $"{endpoint.Id}:{job}", limit, demand, assumed);
    }

    private TokenHold HoldOf(
        Endpoint endpoint, string flow, string request, long limit, GenerationDemand demand, long assumed)
    {
        var estimated = new TokenUsage(prompts.Expect(endpoint.Id, demand), 0, demand.Generated(assumed));
        var byBytes = demand.Exact == 0 ? demand.Prompt : 0;
        return new TokenHold(endpoint.Id, flow, request, limit, estimated) { PromptByBytes = byBytes };
    }

    /// <summary>Reads a body, at most about this number of bytes. Null: a response was written.</summary>
    private static async Task<GenerationDemand?> ReadDemandAsync(HttpContext context, Endpoint endpoint, long most)
    {
        // The forwarder rejects it, with its error.
        if (context.Request.ContentLength > endpoint.Forwarding.MaxBodyBytes) return default(GenerationDemand);
        var feature = context.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpMaxRequestBodySizeFeature>();
        if (feature is { IsReadOnly: false }) feature.MaxRequestBodySize = endpoint.Forwarding.MaxBodyBytes;
        GenerationDemand demand = default;
        try
        {
            var end = await BodyPeek.ReadAsync(context, (body, isComplete) =>
            {
                if (isComplete) demand = GenerationDemand.Read(body);
                else if (body.Length > most)
                    demand = new GenerationDemand(body.Length / GenerationDemand.BytesOfToken, null, 1);
                return isComplete || body.Length > most;
            });
            if (end == BodyPeekEnd.Done) return demand;
            var (status, error) = BodyPeek.Fail(context, end);
            await Problem.WriteAsync(context, status, error);
        }
        catch (BadHttpRequestException e)
        {
            await Problem.WriteAsync(context, e.StatusCode, $"The body cannot be read: {e.Message}");
        }

        return null;
    }

    /// <summary>
    /// Reserves tokens. Null: Redis did not answer. The tokens may be reserved then, so they are settled.
    /// </summary>
    private async Task<TokenAnswer?> TryReserveAsync(
        TokenHold hold, long tokens, long most, bool isForced, Endpoint endpoint, CancellationToken ct)
    {
        var life = endpoint.Queue.Timeout + endpoint.Forwarding.ExecutionTimeout + Grace;
        try
        {
            return await window.ReserveAsync(hold.Flow, hold.Request, tokens, hold.Limit, most, isForced, life)
                .WaitAsync(ReserveTimeout, time, ct);
        }
        catch (Exception e) when (!ct.IsCancellationRequested && RedisFaults.Classify(e) != RedisFault.None)
        {
            failures.Report($"Reserving tokens of key {hold.Flow}", e);
            return null;
        }
    }

    private Task RefuseAsync(HttpContext context, TokenHold hold, long tokens, TokenAnswer answer)
    {
        metrics.Limited("tokens");
        context.Response.Headers["Retry-After-Ms"] =
            Math.Ceiling(answer.RetryAfter.TotalMilliseconds).ToString(CultureInfo.InvariantCulture);
        return Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests, string.Create(
            CultureInfo.InvariantCulture,
            $"Key {hold.Flow} may use {hold.Limit} tokens per minute (tokensPerMinute of the key); {answer.Remaining} ")
            + string.Create(CultureInfo.InvariantCulture,
            $"are left, and this request reserves {tokens}: {hold.Estimated.Prompt} for its prompt and ")
            + string.Create(CultureInfo.InvariantCulture,
            $"{hold.Estimated.Generated} to generate. Retry after {answer.RetryAfter.TotalSeconds:0.###} s, ")
            + "or send a smaller max_tokens.",
            answer.RetryAfter);
    }

    private Task RefuseForeverAsync(HttpContext context, string key, GenerationDemand demand, long limit)
    {
        metrics.Limited("tokens");
        var texts = demand.Texts > 1 ? $" for each of {demand.Texts} texts" : "";
        return Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
            $"max_tokens is '{demand.MaxTokens}'{texts}; expected at most {limit / demand.Texts}: key {key} may use "
            + $"{limit} tokens per minute (tokensPerMinute of the key), so no retry can succeed.",
            param: "max_tokens");
    }

    [LoggerMessage(LogLevel.Debug,
        "Request {Request} of key {Key} to endpoint {Endpoint} used {Prompt} tokens of prompt ({Cached} cached) and "
        + "{Generated} generated ones ({Wasted} wasted)")]
    private partial void TokensUsed(
        string request, string key, string endpoint, long prompt, long cached, long generated, long wasted);
}
