import './base.css';
import './panel.css';
import './dialog.css';
import './predict.css';
import './logs.css';
