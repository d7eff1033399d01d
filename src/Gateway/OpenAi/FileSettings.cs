using Sluice.Storage.Files;

namespace Sluice.Gateway.OpenAi;

/// <summary>The limits of <c>/v1/files</c>.</summary>
/// <param name="MaxBytes">Maximum size of a file.</param>
/// <param name="Limits">The limits for the files of one key.</param>
/// <param name="Keep">How long a file is kept unless the client says it; zero: without an end.</param>
public sealed record FileSettings(long MaxBytes, FileLimits Limits, TimeSpan Keep);
