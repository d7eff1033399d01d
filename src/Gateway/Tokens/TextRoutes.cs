namespace Sluice.Gateway.Tokens;

/// <summary>The paths of workers that use tokens. Pure.</summary>
public static class TextRoutes
{
    /// <summary>
    /// What a chat reserves for its answer if it declares no maximum: it may use the rest of the model's context, which
    /// the gateway does not know. Long answers are rare, and the difference is settled.
    /// </summary>
    public const long ChatTokens = 1024;

    /// <summary>
    /// Returns the tokens of a text for which a request declares no maximum, or null if the request uses no tokens.
    /// </summary>
    /// <param name="method">The method.</param>
    /// <param name="target">The path at the worker, with a leading slash, and the query.</param>
    /// <param name="isBuiltIn">Whether the worker is the built-in one.</param>
    public static long? AssumedTokens(string method, string target, bool isBuiltIn)
    {
        if (!HttpMethods.IsPost(method)) return null;
        var path = target.AsSpan();
        if (path.IndexOf('?') is var query and >= 0) path = path[..query];
        return path switch
        {
            "/v1/chat/completions" or "/v1/responses" => ChatTokens,
            // OpenAI's default.
            "/v1/completions" => 16,
            "/v1/embeddings" => 0,
            // Triton's generate extension, and jobs; the default of the built-in worker.
            "/run" when isBuiltIn => 64,
            _ when isBuiltIn && path.StartsWith("/v2/models/")
                && (path.EndsWith("/generate") || path.EndsWith("/generate_stream")) => 64,
            _ => null,
        };
    }
}
