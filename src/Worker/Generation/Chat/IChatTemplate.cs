namespace Sluice.Worker.Generation.Chat;

/// <summary>Writes the messages of a conversation as the text that a model was trained with. Thread-safe.</summary>
public interface IChatTemplate
{
    /// <summary>Returns the prompt for a conversation.</summary>
    /// <param name="conversation">The conversation.</param>
    /// <exception cref="Jinja.TemplateException">
    /// The template rejects the messages, cannot be evaluated with them, or needs more than its limits.
    /// </exception>
    string Render(Conversation conversation);
}
