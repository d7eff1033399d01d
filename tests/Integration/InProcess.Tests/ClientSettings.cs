namespace Sluice.InProcess.Tests;

/// <summary>What a client needs to use the OpenAI API of a gateway.</summary>
/// <param name="Url">The base URL.</param>
/// <param name="Key">A key that may use both models.</param>
/// <param name="LimitedKey">A key that may send one request per minute.</param>
/// <param name="Model">The model for chats.</param>
/// <param name="Embedder">The model for embeddings.</param>
/// <param name="Fails">Whether the message <c>FAIL</c> makes a stream fail after its second piece.</param>
internal sealed record ClientSettings(
    Uri Url, string Key, string LimitedKey, string Model, string Embedder, bool Fails);
