namespace Sluice.Worker.Generation.Tokenization;

/// <summary>
/// Converts the tokens of one generated text to text, token by token. Text that was returned never changes afterwards;
/// characters that are not complete are held back.
/// </summary>
public interface ITokenDecoder
{
    /// <summary>Adds a token, and returns the text that is complete with it; often empty.</summary>
    string Push(int token);

    /// <summary>Ends the text, and returns what was held back. An incomplete character is U+FFFD.</summary>
    string Finish();
}
