namespace Sluice.Worker.Generation.Tokenization.Files;

/// <summary>A tokenizer file is not valid, or uses an element that is not supported.</summary>
/// <param name="message">Names the file, the field, its value, and what is supported.</param>
/// <param name="inner">The cause.</param>
public sealed class TokenizerFileException(string message, Exception? inner = null)
    : NotSupportedException(message, inner);
