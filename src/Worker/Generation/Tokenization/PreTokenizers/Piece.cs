namespace Sluice.Worker.Generation.Tokenization.PreTokenizers;

/// <summary>A part of a text.</summary>
/// <param name="Text">The text.</param>
/// <param name="Start">Index of the first character.</param>
/// <param name="Length">Number of characters.</param>
/// <param name="IsFirst">Whether the part is at the start of the whole text.</param>
internal readonly record struct Piece(string Text, int Start, int Length, bool IsFirst)
{
    public ReadOnlySpan<char> Span => Text.AsSpan(Start, Length);

    /// <summary>Returns a part of this part.</summary>
    public Piece Slice(int start, int length) => new(Text, Start + start, length, IsFirst && start == 0);

    /// <summary>Returns a changed text at the place of this part.</summary>
    public Piece With(string text) => new(text, 0, text.Length, IsFirst);
}
